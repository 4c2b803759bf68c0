import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createEventSchemas } from '../../src/ingest/event-schemas.ts'
import {
  EVENT_LIMITS,
  REJECTION_CODES,
  REJECTION_DETAILS,
  type RejectionCode,
} from '../../src/ingest/rejection.ts'
import { aCloudEvent, aStage, NOW, TENANT } from '../support/ingest.ts'

/**
 * An event as JSON text: what stands in it, and what is put in as text because objects cannot say it (a key twice).
 * A fault changes it; faults of different codes can be put into one event as long as they do not touch the same part.
 */
interface Draft {
  readonly members: Map<string, string>
  /** Members of data. */
  readonly data: string[]
  /** Text behind the other members. */
  readonly more: string[]
}

const draft = (): Draft => ({
  members: new Map(Object.entries(aCloudEvent()).map(([key, value]) => [key, JSON.stringify(value)])),
  data: ['"tokens":12'],
  more: [],
})

const write = ({ members, data, more }: Draft): string => {
  const written = new Map(members)
  if (members.get('data') === JSON.stringify({ tokens: 12 })) written.set('data', `{${data.join(',')}}`)
  return `{${[...[...written].map(([key, value]) => `"${key}":${value}`), ...more].join(',')}}`
}

const set =
  (key: string, value: unknown) =>
  ({ members }: Draft): void =>
    void members.set(key, JSON.stringify(value))
const drop =
  (key: string) =>
  ({ members }: Draft): void =>
    void members.delete(key)
const addData =
  (text: string) =>
  ({ data }: Draft): void =>
    void data.push(text)
const addMember =
  (text: string) =>
  ({ more }: Draft): void =>
    void more.push(text)
const iso = (ms: number): string => new Date(ms).toISOString()
const nested = (depth: number): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)

/** The ways to be rejected, by code, in the order of precedence. The empty ones are of corrections, or below. */
const FAULTS: Readonly<Record<RejectionCode, readonly ((event: Draft) => void)[]>> = {
  notAnObject: [],
  invalidTarget: [],
  invalidReason: [],
  missingReplacement: [],
  sameIdentity: [],
  tooManyAttributes: [
    ({ more }) => {
      for (let i = 0; i < EVENT_LIMITS.attributesMax; i++) more.push(`"x${i}":1`)
    },
  ],
  duplicateAttribute: [
    addMember('"id":"other"'),
    addMember('"\\u0069d":"other"'),
    addMember('"ext":1,"ext":1'),
    addMember('"data":null'),
  ],
  invalidExtension: [addMember('"Extension":1'), addMember('"two_words":1'), addMember('"":1')],
  unsupportedSpecVersion: [set('specversion', '0.3'), drop('specversion'), set('specversion', 1)],
  missingId: [drop('id'), set('id', ''), set('id', null)],
  invalidId: [set('id', 7), set('id', 'x'.repeat(513)), set('id', 'a\u0000b'), set('id', {})],
  missingSource: [drop('source'), set('source', '')],
  invalidSource: [
    set('source', 'two words'),
    set('source', '/'.repeat(1025)),
    set('source', 'urn:tallyman:void'),
    set('source', 5),
  ],
  missingType: [drop('type'), set('type', '')],
  invalidType: [
    set('type', '__void'),
    set('type', 'x'.repeat(256)),
    set('type', 'a\u0085b'),
    set('type', []),
  ],
  missingSubject: [drop('subject'), set('subject', null)],
  invalidSubject: [set('subject', 'x'.repeat(256)), set('subject', 'a\tb'), set('subject', true)],
  unsupportedData: [
    set('data', [1]),
    set('data', 'text'),
    set('data', 5),
    set('data_base64', 'AA=='),
    set('datacontenttype', 'text/xml'),
  ],
  foreignSource: [], // below
  invalidTime: [
    set('time', 'noon'),
    set('time', 5),
    set('time', '2026-02-30T00:00:00Z'),
    set('time', '1969-12-31T23:59:59Z'),
    set('time', '2100-01-01T00:00:00Z'),
  ],
  tooOld: [set('time', iso(NOW - EVENT_LIMITS.acceptPastMs - 1))],
  inFuture: [set('time', iso(NOW + EVENT_LIMITS.acceptAheadMs + 1))],
  outsideBackfill: [], // below
  forbiddenKey: [
    addData('"__proto__":1'),
    addData('"a":{"constructor":1}'),
    addData('"b":[{"prototype":1}]'),
    addData('"\\u005f_proto__":1'),
  ],
  invalidKey: [
    addData('"":1'),
    addData('"a\\u0000":1'),
    addData(`"${'x'.repeat(256)}":1`),
    addData(`"${'x'.repeat(130)}":{"${'y'.repeat(130)}":1}`),
  ],
  tooDeep: [addData(`"deep":${nested(8)}`), addData(`"deep":${'['.repeat(9)}${']'.repeat(9)}`)],
  tooManyProperties: [addData(Array.from({ length: 64 }, (_, i) => `"k${i}":1`).join(','))],
  duplicateKey: [
    addData('"tokens":13'),
    addData('"\\u0074okens":13'),
    addData('"n":{"a":1,"a":null}'),
    addData('"list":[{"a":1,"a":1}]'),
  ],
  ambiguousKey: [addData('"a.b":1,"a":{"b":2}')],
  unsafeNumber: [
    addData('"n":12345678901234567890'),
    addData('"n":0.1234567890123456789'),
    addData('"n":1.00000000000000000001'),
    addData('"n":1e300'),
    addData('"n":[9007199254740993]'),
  ],
  valueTooLong: [
    addData(`"long":"${'x'.repeat(65_537)}"`),
    addData(`"long":[${'1,'.repeat(40_000)}1]`),
    addData(`"long":"${'ü'.repeat(65_537)}"`),
  ],
  invalidText: [addData('"half":"\\ud800"'), set('id', 'half \ud800')],
  eventTooLarge: [
    addData(`"x":"${'x'.repeat(60_000)}","y":"${'y'.repeat(60_000)}","z":"${'z'.repeat(20_000)}"`),
  ],
  schemaMismatch: [addData('"region":5')],
}

function aStageWithSchema() {
  const schemas = createEventSchemas()
  const schema = { type: 'object', properties: { region: { type: 'string' } } }
  schemas.apply({ kind: 'eventSchema', version: 1, tenant: TENANT, type: 'llm.request', schema })
  return aStage({}, schemas)
}

const REJECTIONS = REJECTION_CODES.flatMap((code) => FAULTS[code].map((fault, i) => ({ code, fault, i })))

describe('rejections', () => {
  it.each(REJECTIONS)('$code ($i)', async ({ code, fault }) => {
    const { sendText, log } = aStageWithSchema()
    const event = draft()
    fault(event)
    const answer = await sendText(`[${write(event)}]`)
    expect(answer).toMatchObject({ kind: 'accepted', accepted: 0, rejected: [{ index: 0, code }] })
    expect(answer).toMatchObject({ rejected: [{ detail: REJECTION_DETAILS[code] }] })
    expect(log.appends).toEqual([])
  })

  it.each(['7', '"x"', 'null', '[]', 'true'])('notAnObject: %s', async (text) => {
    const { sendText } = aStage()
    expect(await sendText(`[${text}]`)).toMatchObject({ rejected: [{ id: null, code: 'notAnObject' }] })
  })

  it('I4: an event with several faults is answered with the first in the list', async () => {
    const { sendText } = aStageWithSchema()
    const pairs = fc.tuple(fc.constantFrom(...REJECTIONS), fc.constantFrom(...REJECTIONS))
    await fc.assert(
      fc.asyncProperty(pairs, async ([a, b]) => {
        const event = draft()
        a.fault(event)
        const withOne = write(event)
        b.fault(event)
        const withBoth = write(event)
        // One fault may hide the other: data that is replaced, an attribute that is set twice.
        fc.pre(withBoth !== withOne && !hides(a.code, b.code) && !hides(b.code, a.code))
        const first = REJECTION_CODES.indexOf(a.code) <= REJECTION_CODES.indexOf(b.code) ? a.code : b.code
        expect(await sendText(`[${withBoth}]`)).toMatchObject({ rejected: [{ code: first }] })
      }),
      { numRuns: 1500 },
    )
  })

  it('the accept window has its edges inside', async () => {
    const { send } = aStage()
    const times = [NOW - EVENT_LIMITS.acceptPastMs, NOW + EVENT_LIMITS.acceptAheadMs]
    const events = times.map((ms, i) => aCloudEvent({ id: `${i}`, time: iso(ms) }))
    expect(await send(events)).toMatchObject({ accepted: 2, rejected: [] })
  })

  it('a known identity may come late unchanged, but not with other content out of the window', async () => {
    const { send, setNow, log } = aStage()
    await send([aCloudEvent()])
    setNow((NOW + EVENT_LIMITS.acceptPastMs + 120_000) as typeof NOW)
    expect(await send([aCloudEvent()])).toMatchObject({ duplicates: 1, rejected: [] })
    for (const atomic of [false, true]) {
      const answer = await send([aCloudEvent({ data: { tokens: 13 } })], { atomic })
      expect(answer).toMatchObject({ rejected: [{ code: 'tooOld' }] })
    }
    expect(log.events()).toHaveLength(1)
  })

  it('customers on a test clock are judged by it', async () => {
    const { send, directory } = aStage()
    const testClock = 'clk_1' as never
    directory.apply({
      kind: 'testClock',
      version: 1,
      tenant: TENANT,
      testClock,
      now: (NOW - 1e10) as typeof NOW,
    })
    directory.apply({
      kind: 'customer',
      version: 1,
      tenant: TENANT,
      customer: 'acme' as never,
      subjects: ['acme-prod' as never],
      testClock,
    })
    const events = [
      aCloudEvent(),
      aCloudEvent({ id: '2', time: iso(NOW - 1e10) }),
      aCloudEvent({ id: '3', subject: 'other' }),
    ]
    expect(await send(events)).toMatchObject({ accepted: 2, rejected: [{ index: 0, code: 'inFuture' }] })
  })
})

/** Faults that replace what the other fault is in. */
function hides(a: RejectionCode, b: RejectionCode): boolean {
  const attribute: Readonly<Partial<Record<RejectionCode, string>>> = {
    missingId: 'id',
    invalidId: 'id',
    invalidText: 'id',
    missingSource: 'source',
    invalidSource: 'source',
    missingType: 'type',
    invalidType: 'type',
    missingSubject: 'subject',
    invalidSubject: 'subject',
    invalidTime: 'time',
    tooOld: 'time',
    inFuture: 'time',
    unsupportedSpecVersion: 'specversion',
    unsupportedData: 'data',
  }
  if (a === b || (attribute[a] !== undefined && attribute[a] === attribute[b])) return true
  // These put things into data, which is not there any more.
  if (a === 'unsupportedData') return REJECTION_CODES.indexOf(b) > REJECTION_CODES.indexOf('inFuture')
  // `other` ids beside a missing one, and members of data with one name.
  if (a === 'duplicateAttribute') return b === 'missingId' || b === 'invalidId' || b === 'invalidText'
  if (a === 'ambiguousKey') return b === 'forbiddenKey' || b === 'duplicateKey'
  // The schema is that of the type.
  return a === 'schemaMismatch' && (b === 'missingType' || b === 'invalidType')
}

describe('numbers', () => {
  it('I6: are kept as they are spelled, in plain notation', async () => {
    const { sendText, log } = aStage()
    const spelled = {
      a: ['1.50', '1.5'],
      b: ['-0', '0'],
      c: ['1e3', '1000'],
      d: ['1.5E-7', '0.00000015'],
      e: ['0.1', '0.1'],
      f: ['999999999999999', '999999999999999'],
      g: ['-12.25', '-12.25'],
      h: ['100000000000000.0', '100000000000000'],
      i: ['9e15', '9000000000000000'],
      j: ['0.000000000000000', '0'],
    } as const
    const data = Object.entries(spelled).map(([key, [text]]) => `"${key}":${text}`)
    const event = draft()
    event.data.push(...data)
    expect(await sendText(`[${write(event)}]`)).toMatchObject({ accepted: 1 })
    const expected = Object.fromEntries(Object.entries(spelled).map(([key, [, plain]]) => [key, plain]))
    expect(log.events()[0]?.properties).toEqual({ tokens: '12', ...expected })
  })

  it('decimal texts pass untouched', async () => {
    const { send, log } = aStage()
    const data = { a: '12345678901234567890.1234567890123456789', b: '1.50', c: '-0' }
    await send([aCloudEvent({ data })])
    expect(log.events()[0]?.properties).toEqual(data)
  })
})
