import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32 } from '../../src/spool/crc32.ts'
import { decodeSegment, encodeRecord, SEGMENT_MAGIC, type SpoolRecord } from '../../src/spool/segment.ts'

const record: fc.Arbitrary<SpoolRecord> = fc.oneof(
  fc.record({
    kind: fc.constant('event' as const),
    number: fc.maxSafeNat(),
    body: fc.uint8Array({ maxLength: 60 }),
  }),
  fc.record({ kind: fc.constant('settled' as const), numbers: fc.array(fc.maxSafeNat(), { maxLength: 6 }) }),
)

function segmentOf(records: readonly SpoolRecord[]): Uint8Array {
  return Buffer.concat([SEGMENT_MAGIC, ...records.map(encodeRecord)])
}

/** Where each record ends. */
function endsOf(records: readonly SpoolRecord[]): readonly number[] {
  let at = SEGMENT_MAGIC.length
  return [at, ...records.map((one) => (at += encodeRecord(one).length))]
}

describe('a segment', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(fc.array(record), (records) => {
        const { records: read, tornBytes } = decodeSegment(segmentOf(records))
        expect(read.map(plain)).toEqual(records.map(plain))
        expect(tornBytes).toBe(0)
      }),
    )
  })

  it('cut anywhere, gives its whole records and counts the rest as torn', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), fc.nat(), (records, where) => {
        const bytes = segmentOf(records)
        const length = where % (bytes.length + 1)
        const read = decodeSegment(bytes.subarray(0, length))
        const whole = endsOf(records).filter((end) => end <= length)
        expect(read.records).toHaveLength(Math.max(0, whole.length - 1))
        expect(read.tornBytes).toBe(length - (whole.at(-1) ?? 0))
      }),
    )
  })

  it('damaged anywhere, gives what stands before the damage and nothing that was not written', () => {
    fc.assert(
      fc.property(
        fc.array(record, { minLength: 1, maxLength: 8 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (records, where, flip) => {
          const bytes = segmentOf(records)
          const at = where % bytes.length
          bytes[at] = (bytes[at] as number) ^ flip
          const read = decodeSegment(bytes)
          const before = at < SEGMENT_MAGIC.length ? 0 : endsOf(records).filter((end) => end <= at).length - 1
          expect(read.records.map(plain)).toEqual(records.slice(0, before).map(plain))
          expect(read.tornBytes).toBeGreaterThan(0)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('has the checksum of zlib', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(crc32(bytes)).toBe(zlibCrc32(bytes))
      }),
    )
  })
})

/** Without the kind of array that the bytes stand in. */
function plain(one: SpoolRecord): unknown {
  return one.kind === 'event' ? { ...one, body: [...one.body] } : one
}
