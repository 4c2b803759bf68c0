import { isUtf8 } from 'node:buffer'
import { isJsonMediaType } from './envelope.ts'
import type { JsonTape } from './json-tape.ts'
import { readJson } from './json.ts'
import { type Refusal, refused } from './refusal.ts'

export const ATTRIBUTE_HEADER_PREFIX = 'ce-'

/**
 * CloudEvents binary mode: attributes in `ce-…` headers, the body is the data and Content-Type its media type. The event
 * is put onto the tape as it would stand in structured mode.
 * @param headers by lower-case name, as Node gives them (one character per byte)
 */
export function readBinaryEvent(
  headers: Readonly<Record<string, string>>,
  contentType: string | undefined,
  body: Uint8Array,
  tape: JsonTape,
): Refusal | null {
  const members: string[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(ATTRIBUTE_HEADER_PREFIX)) continue
    const attribute = name.slice(ATTRIBUTE_HEADER_PREFIX.length)
    // The specification gives these two to Content-Type and the body.
    if (attribute === 'datacontenttype' || attribute === 'data' || attribute === 'data_base64') {
      return refused('malformedHeaders', `The header ${name} must not be sent in binary mode.`)
    }
    const text = decodeHeaderValue(value)
    if (text === null) return refused('malformedHeaders', `The header ${name} is not percent-encoded UTF-8.`)
    members.push(`${JSON.stringify(attribute)}:${JSON.stringify(text)}`)
  }
  const isJson = contentType === undefined || contentType === '' || isJsonMediaType(contentType)
  if (body.length > 0 && isJson) {
    // Alone first: only a whole JSON value may become the value of a member.
    const refusal = readJson(body, tape)
    if (refusal !== null) return refusal
    const head = `{${members.map((member) => `${member},`).join('')}"data":`
    return readJson(Buffer.concat([Buffer.from(head), body, Buffer.from('}')]), tape)
  }
  // Rejected with the event's own fault: data of another media type is not read.
  if (body.length > 0) members.push(`"datacontenttype":${JSON.stringify(contentType)}`)
  return readJson(Buffer.from(`{${members.join(',')}}`), tape)
}

/**
 * The HTTP binding's rule: take off the double quotes that old senders put, then percent-decode once.
 * Null when the bytes are not UTF-8 (`%C0%A0`).
 */
export function decodeHeaderValue(value: string): string | null {
  let text = value
  if (text.length >= 2 && text.startsWith('"') && text.endsWith('"')) {
    text = text.slice(1, -1).replace(/\\(.)/g, '$1')
  }
  // One character is one byte, percent escapes included; then the bytes must be UTF-8.
  const bytes = Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  )
  return isUtf8(bytes) ? bytes.toString('utf8') : null
}
