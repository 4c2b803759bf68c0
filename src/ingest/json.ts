import { isUtf8 } from 'node:buffer'
import { type Refusal, refused } from './refusal.ts'

/** Parses a body that must be JSON in UTF-8; bytes that are not UTF-8 are refused, never replaced. */
export function parseJson(body: Uint8Array): { readonly kind: 'json'; readonly value: unknown } | Refusal {
  if (!isUtf8(body)) return refused('malformedJson', 'The body is not valid UTF-8.')
  try {
    const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
    return { kind: 'json', value: JSON.parse(text) as unknown }
  } catch (error) {
    // The parser quotes what it met; a client's data has no place in long error texts.
    return refused('malformedJson', `The body is not JSON: ${(error as Error).message.slice(0, 200)}.`)
  }
}
