import { isUtf8 } from 'node:buffer'
import { isJsonMediaType } from './envelope.ts'
import { parseJson } from './json.ts'
import { type Refusal, refused } from './refusal.ts'

export const ATTRIBUTE_HEADER_PREFIX = 'ce-'

/**
 * CloudEvents binary mode: attributes in `ce-…` headers, the body is the data and Content-Type its media type.
 * @param headers by lower-case name, as Node gives them (one character per byte)
 */
export function readBinaryEvent(
  headers: Readonly<Record<string, string>>,
  contentType: string | undefined,
  body: Uint8Array,
): { readonly kind: 'events'; readonly events: readonly unknown[] } | Refusal {
  const event: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(ATTRIBUTE_HEADER_PREFIX)) continue
    const attribute = name.slice(ATTRIBUTE_HEADER_PREFIX.length)
    // The specification gives these two to Content-Type and the body.
    if (attribute === 'datacontenttype' || attribute === 'data' || attribute === 'data_base64') {
      return refused('malformedHeaders', `The header ${name} must not be sent in binary mode.`)
    }
    const text = decodeHeaderValue(value)
    if (text === null) return refused('malformedHeaders', `The header ${name} is not percent-encoded UTF-8.`)
    event[attribute] = text
  }
  if (body.length > 0) {
    if (contentType === undefined || contentType === '' || isJsonMediaType(contentType)) {
      const parsed = parseJson(body)
      if (parsed.kind === 'refused') return parsed
      event['data'] = parsed.value
    } else {
      // Rejected with the event's own fault: data of this media type is not read.
      event['datacontenttype'] = contentType
    }
  }
  return { kind: 'events', events: [event] }
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
