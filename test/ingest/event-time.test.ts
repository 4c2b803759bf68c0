import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseEventTime } from '../../src/ingest/event-time.ts'
import { JsonTape } from '../../src/ingest/json-tape.ts'
import { parseInstant } from '../../src/time/instant.ts'

function parsed(text: string): number | null {
  const tape = new JsonTape()
  expect(tape.read(Buffer.from(JSON.stringify(text)))).toBeNull()
  return parseEventTime(tape, 0)
}

const digits = (count: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'), {
      minLength: count,
      maxLength: count,
    })
    .map((all) => all.join(''))
const nearlyATime = fc
  .tuple(
    digits(4),
    digits(2),
    digits(2),
    digits(2),
    digits(2),
    digits(2),
    fc.constantFrom('', '.5', '.123', '.1x3'),
  )
  .chain(([year, month, day, hour, minute, second, fraction]) =>
    fc
      .tuple(fc.constantFrom('T', ' ', 't'), fc.constantFrom('Z', 'z', '+01:00', ''))
      .map(([t, zone]) => `${year}-${month}-${day}${t}${hour}:${minute}:${second}${fraction}${zone}`),
  )

describe('parseEventTime', () => {
  it('reads what parseInstant reads', () => {
    const real = fc
      .date({ min: new Date(0), max: new Date('2399-12-31'), noInvalidDate: true })
      .map((date) => date.toISOString())
    const text = fc.oneof(
      real,
      real.map((iso) => iso.replace(/\.\d+/, '')),
      nearlyATime,
    )
    fc.assert(
      fc.property(text, (one) => {
        expect(parsed(one)).toBe(parseInstant(one))
      }),
      { numRuns: 3000 },
    )
  })

  it.each(['2026-03-01T12:00:0:Z', '2026-03-01T12:00:00.12 Z', '٢٠٢٦-03-01T12:00:00Z', '', 'Z'])(
    '%j is no time',
    (text) => {
      expect(parsed(text)).toBeNull()
    },
  )
})
