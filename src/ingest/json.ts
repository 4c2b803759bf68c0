import { isUtf8 } from 'node:buffer'
import { type JsonTape, NESTING_MAX } from './json-tape.ts'
import { type Refusal, refused } from './refusal.ts'

/** Reads a body that must be JSON in UTF-8 onto the tape; bytes that are not UTF-8 are refused, never replaced. */
export function readJson(body: Uint8Array, tape: JsonTape): Refusal | null {
  if (!isUtf8(body)) return refused('malformedJson', 'The body is not valid UTF-8.')
  const fault = tape.read(body)
  if (fault === null) return null
  return fault.isTooDeep
    ? refused('tooDeeplyNested', `The body is nested deeper than ${NESTING_MAX} levels at byte ${fault.at}.`)
    : refused('malformedJson', `The body is not JSON: see byte ${fault.at} of ${body.length}.`)
}
