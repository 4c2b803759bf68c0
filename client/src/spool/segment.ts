import { crc32 } from './crc32.ts'

/**
 * A segment is eight bytes of magic and then records: length of the payload (u32), CRC-32 of the payload (u32), payload;
 * little-endian. The payload is a kind (u8) and, for an event, its number (u64) and bytes; for settlements, numbers.
 */
export type SpoolRecord =
  | { readonly kind: 'event'; readonly number: number; readonly body: Uint8Array }
  | { readonly kind: 'settled'; readonly numbers: readonly number[] }

export interface Segment {
  readonly records: readonly SpoolRecord[]
  /** Bytes at the end that are no whole record: written when the process or the machine went down, or damaged since. */
  readonly tornBytes: number
}

export const SEGMENT_MAGIC = new TextEncoder().encode('TMSPOOL1')
const HEADER_BYTES = 8
const NUMBER_BYTES = 8
const PAYLOAD_BYTES_MAX = 16_777_216
const EVENT = 1
const SETTLED = 2

/** Bytes that an event takes in a segment. */
export function eventRecordBytes(bodyBytes: number): number {
  return HEADER_BYTES + 1 + NUMBER_BYTES + bodyBytes
}

export function encodeRecord(record: SpoolRecord): Uint8Array {
  const numbers = record.kind === 'event' ? [record.number] : record.numbers
  const body = record.kind === 'event' ? record.body : new Uint8Array()
  const length = 1 + numbers.length * NUMBER_BYTES + body.length
  const bytes = new Uint8Array(HEADER_BYTES + length)
  const view = new DataView(bytes.buffer)
  bytes[HEADER_BYTES] = record.kind === 'event' ? EVENT : SETTLED
  numbers.forEach((number, i) => {
    view.setBigUint64(HEADER_BYTES + 1 + i * NUMBER_BYTES, BigInt(number), true)
  })
  bytes.set(body, bytes.length - body.length)
  view.setUint32(0, length, true)
  view.setUint32(4, crc32(bytes.subarray(HEADER_BYTES)), true)
  return bytes
}

/** Reads records up to the first that is not whole; what stands behind that cannot be trusted. */
export function decodeSegment(bytes: Uint8Array): Segment {
  const records: SpoolRecord[] = []
  if (!SEGMENT_MAGIC.every((byte, i) => bytes[i] === byte)) return { records, tornBytes: bytes.length }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = SEGMENT_MAGIC.length
  while (at + HEADER_BYTES < bytes.length) {
    const length = view.getUint32(at, true)
    const start = at + HEADER_BYTES
    if (length === 0 || length > PAYLOAD_BYTES_MAX || start + length > bytes.length) break
    const payload = bytes.subarray(start, start + length)
    const record = crc32(payload) === view.getUint32(at + 4, true) ? decodePayload(payload) : null
    if (record === null) break
    records.push(record)
    at = start + length
  }
  return { records, tornBytes: bytes.length - at }
}

function decodePayload(payload: Uint8Array): SpoolRecord | null {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const numberAt = (at: number): number => Number(view.getBigUint64(at, true))
  if (payload[0] === EVENT && payload.length >= 1 + NUMBER_BYTES) {
    return { kind: 'event', number: numberAt(1), body: payload.subarray(1 + NUMBER_BYTES) }
  }
  if (payload[0] !== SETTLED || (payload.length - 1) % NUMBER_BYTES !== 0) return null
  const count = (payload.length - 1) / NUMBER_BYTES
  return { kind: 'settled', numbers: Array.from({ length: count }, (_, i) => numberAt(1 + i * NUMBER_BYTES)) }
}
