import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Instant, instantOf } from '../../src/time/instant.ts'
import { PackEncoder } from '../../src/usage/pack-encoder.ts'
import { decodePack, type DecodedEvent, packType } from '../support/scripted-log.ts'

const text = fc.oneof(
  fc.string({ maxLength: 70 }),
  fc.string({ unit: 'grapheme', maxLength: 70 }),
  fc.integer({ min: 60, max: 20_000 }).map((n) => 'x'.repeat(n)),
  fc.integer({ min: 20, max: 70 }).map((n) => 'ü'.repeat(n)),
)
const event: fc.Arbitrary<DecodedEvent> = fc.record({
  tenant: text,
  source: text,
  id: text,
  type: text,
  subject: text,
  time: fc.oneof(
    fc.maxSafeInteger().map((n) => Math.trunc(n / 4)),
    fc.integer({ min: 0, max: 2 ** 42 }),
    fc.integer(),
  ),
  properties: fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), text, {
    maxKeys: 5,
    noNullPrototype: true,
  }),
})

/** The same event, its texts handed over as bytes. */
function encodeBytes(encoder: PackEncoder, one: DecodedEvent): void {
  const write = (text: string): void => {
    const bytes = Buffer.from(`"${text}"`)
    encoder.textBytes(bytes, 1, bytes.length - 1)
  }
  encoder.begin()
  for (const text of [one.tenant, one.source, one.id, one.type, one.subject]) write(text)
  encoder.time(one.time as Instant)
  for (const [path, value] of Object.entries(one.properties)) {
    write(path)
    write(value)
    encoder.countProperty()
  }
  encoder.endEvent()
}

function encode(encoder: PackEncoder, one: DecodedEvent): void {
  encoder.beginEvent(one.tenant, one.source, one.id)
  encoder.describeEvent(one.type, one.subject, one.time as Instant)
  for (const [path, value] of Object.entries(one.properties)) encoder.property(path, value)
  encoder.endEvent()
}

function expected(ingestedAt: number, events: readonly DecodedEvent[]): Buffer {
  return Buffer.concat([Buffer.of(0, 0, 0, 0, 1), packType.toBuffer({ ingestedAt, events })])
}

const NOW = instantOf(1_772_366_400_123)

describe('PackEncoder', () => {
  it('writes the bytes that an Avro library writes', () => {
    const encoder = new PackEncoder(16)
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 8 }),
        fc.integer({ min: 0, max: 2 ** 45 }),
        (events, ingestedAt) => {
          encoder.reset()
          for (const [i, one] of events.entries()) {
            if (i % 2 === 0) encode(encoder, one)
            else encodeBytes(encoder, one)
          }
          expect(encoder.count).toBe(events.length)
          const { record } = encoder.seal(instantOf(ingestedAt))
          expect(Buffer.from(record).equals(expected(ingestedAt, events))).toBe(true)
        },
      ),
      { numRuns: 400 },
    )
  })

  it.each([0, 1, 63, 64, 65, 8192])('writes %i properties', (count) => {
    const one: DecodedEvent = {
      tenant: 't',
      source: '/s',
      id: '1',
      type: 'x',
      subject: 'u',
      time: 5,
      properties: Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, `${i}`])),
    }
    const encoder = new PackEncoder()
    encode(encoder, one)
    encode(encoder, one)
    expect(Buffer.from(encoder.seal(NOW).record).equals(expected(NOW, [one, one]))).toBe(true)
  })

  it('leaves no trace of events that were dropped or taken back', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.constantFrom('keep', 'drop', 'takeBack'))), (steps) => {
        const encoder = new PackEncoder(16)
        for (const [one, fate] of steps) {
          if (fate === 'drop') {
            encoder.beginEvent(one.tenant, one.source, one.id)
            encoder.dropEvent()
          } else {
            encode(encoder, one)
            if (fate === 'takeBack') encoder.takeBackEvent()
          }
        }
        const kept = steps.filter(([, fate]) => fate === 'keep').map(([one]) => one)
        expect(Buffer.from(encoder.seal(NOW).record).equals(expected(NOW, kept))).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  it('a sealed record has memory of its own', () => {
    const encoder = new PackEncoder()
    const one = { tenant: 't', source: '/s', id: '1', type: 'x', subject: 'u', time: 5, properties: {} }
    encode(encoder, one)
    const { record } = encoder.seal(NOW)
    encoder.reset()
    encode(encoder, { ...one, id: 'other' })
    encoder.seal(NOW)
    expect(decodePack(record).events).toEqual([one])
  })

  it('positions in the open pack are found again in the record', () => {
    const encoder = new PackEncoder()
    const one = { tenant: 'ten', source: '/s', id: '1', type: 'x', subject: 'u', time: 5, properties: {} }
    encode(encoder, one)
    const before = encoder.bytes.slice(encoder.eventStart, encoder.position)
    const { eventStart } = encoder
    const { record, bodyOffset } = encoder.seal(NOW)
    expect(record.slice(eventStart - bodyOffset, eventStart - bodyOffset + before.length)).toEqual(before)
  })

  it('says when a text cannot be carried by UTF-8', () => {
    const encoder = new PackEncoder()
    encoder.beginEvent('t', '/s', 'half \ud800 pair')
    expect(encoder.isWellFormed).toBe(false)
    encoder.dropEvent()
    encoder.beginEvent('t', '/s', 'whole \u{1f600} pair')
    expect(encoder.isWellFormed).toBe(true)
  })
})
