import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { aStage, NOW } from '../../test/support/ingest.ts'
import type { EventData } from '../src/data.ts'
import { encodeEvent, type Encoding, type UsageEventInput } from '../src/event.ts'

const NOW_MS = Number(NOW)
const deps = { source: '/gateway', nowMs: NOW_MS, createId: () => 'drawn' }
const utf8 = new TextDecoder()

function encode(parts: Readonly<Record<string, unknown>>): Encoding {
  return encodeEvent({ type: 'llm.request', subject: 'acme', ...parts }, deps)
}

function textOf(encoding: Encoding): string {
  if (encoding.kind === 'refused') throw new Error(encoding.refusal.detail)
  return utf8.decode(encoding.event.body)
}

const nested = (depth: number): object => (depth === 0 ? {} : { a: nested(depth - 1) })

describe('encodeEvent', () => {
  it('fixes id and time, and writes bigints as decimal strings', () => {
    expect(
      JSON.parse(textOf(encode({ data: { tokens: 2n ** 70n, seconds: '0.25', cached: false, none: null } }))),
    ).toEqual({
      specversion: '1.0',
      id: 'drawn',
      source: '/gateway',
      type: 'llm.request',
      subject: 'acme',
      time: '2026-03-01T12:00:00.000Z',
      data: { tokens: '1180591620717411303424', seconds: '0.25', cached: false, none: null },
    })
  })

  it('takes a Date or text as the time, and leaves undefined members out', () => {
    const at = '2026-02-28T23:59:59.123456+01:00'
    expect(textOf(encode({ time: at, data: { a: undefined, b: [1, 'x'] } }))).toContain(
      `"time":"${at}","data":{"b":[1,"x"]}`,
    )
    expect(textOf(encode({ time: new Date(NOW_MS) }))).toContain('"time":"2026-03-01T12:00:00.000Z"')
  })

  it.each([
    ['invalidId', '/id', { id: '' }],
    ['invalidId', '/id', { id: 7 }],
    ['invalidId', '/id', { id: 'x'.repeat(513) }],
    ['invalidId', '/id', { id: 'half \ud800' }],
    ['invalidType', '/type', { type: '__void' }],
    ['invalidType', '/type', { type: undefined }],
    ['invalidSubject', '/subject', { subject: 'tab\tbed' }],
    ['invalidSubject', '/subject', { subject: null }],
    ['invalidTime', '/time', { time: 'yesterday' }],
    ['invalidTime', '/time', { time: new Date(NaN) }],
    ['invalidTime', '/time', { time: new Date(-1) }],
    ['invalidTime', '/time', { time: Date.UTC(2026) }],
    ['unsupportedData', '/data', { data: [1] }],
    ['unsupportedData', '/data', { data: null }],
    ['unsupportedData', '/data/at', { data: { at: new Date() } }],
    ['unsupportedData', '/data/f', { data: { f: () => 1 } }],
    ['unsupportedData', '/data/list/1', { data: { list: [1, undefined] } }],
    ['forbiddenKey', '/data/constructor', { data: { constructor: 1 } }],
    ['invalidKey', '/data/', { data: { '': 1 } }],
    ['invalidKey', '/data/a~1b\n', { data: { 'a/b\n': 1 } }],
    ['invalidKey', `/data/${'k'.repeat(256)}`, { data: { ['k'.repeat(256)]: 1 } }],
    ['ambiguousKey', '/data/a/b', { data: { 'a.b': 1, a: { b: 2 } } }],
    ['tooDeep', '/data/a/a/a/a/a/a/a/a', { data: nested(8) }],
    [
      'tooManyProperties',
      '/data',
      { data: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, i])) },
    ],
    ['unsafeNumber', '/data/n', { data: { n: 0.1 + 0.2 } }],
    ['unsafeNumber', '/data/n', { data: { n: NaN } }],
    ['unsafeNumber', '/data/list/0', { data: { list: [2 ** 53] } }],
    ['valueTooLong', '/data/t', { data: { t: 'x'.repeat(65_537) } }],
    ['valueTooLong', '/data/list', { data: { list: [['x'.repeat(65_530)], 'y'.repeat(9)] } }],
    ['invalidText', '/data/t', { data: { t: '\udc00' } }],
  ] as const)('%s at %s', (code, pointer, parts) => {
    expect(encode(parts)).toMatchObject({ kind: 'refused', refusal: { code, pointer } })
  })

  it('says what to do with a number that is not exact', () => {
    expect(encode({ data: { n: 0.1 + 0.2 } })).toMatchObject({
      refusal: { detail: expect.stringContaining('(0.30000000000000004).toFixed') as string },
    })
  })

  it('refuses what is no event, and one that is too large', () => {
    expect(encodeEvent(null as unknown as UsageEventInput, deps)).toMatchObject({
      id: null,
      refusal: { code: 'notAnObject' },
    })
    const data = { a: 'x'.repeat(65_536), b: 'y'.repeat(65_536) }
    expect(encode({ data })).toMatchObject({ id: 'drawn', refusal: { code: 'eventTooLarge' } })
  })

  it('is taken by the server, whatever it is, when it is taken here', async () => {
    const key = fc.oneof(fc.string({ unit: 'binary', maxLength: 6 }), fc.constantFrom('a', 'b', 'a.b', 'c'))
    const { data } = fc.letrec<{ data: EventData; value: unknown }>((tie) => ({
      data: fc.dictionary(key, tie('value'), { maxKeys: 4 }) as fc.Arbitrary<EventData>,
      value: fc.oneof(
        { depthSize: 'medium' },
        fc.string({ unit: 'binary' }),
        fc.double(),
        fc.integer(),
        fc.bigInt({ min: -(10n ** 37n), max: 10n ** 37n }),
        fc.boolean(),
        fc.constantFrom(null, undefined),
        fc.array(tie('value'), { maxLength: 3 }),
        tie('data'),
      ),
    }))
    const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 })
    const event = fc.record({ id: name, type: name, subject: name, data })
    let taken = 0
    const stage = aStage()
    await fc.assert(
      fc.asyncProperty(event, async (input) => {
        const encoded = encodeEvent(input, deps)
        if (encoded.kind === 'refused') return
        taken += 1
        expect(await stage.sendText(`[${textOf(encoded)}]`)).toMatchObject({ kind: 'accepted', rejected: [] })
      }),
      { numRuns: 3000 },
    )
    expect(taken).toBeGreaterThan(300)
  })
})
