import { CloudEvent, HTTP, type CloudEventV1 } from 'cloudevents'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeHeaderValue } from '../../src/ingest/binary-mode.ts'
import { isUriReference } from '../../src/ingest/envelope.ts'
import { aCloudEvent, aStage } from '../support/ingest.ts'

/** Printable and beyond ASCII: what the specification allows in its strings. */
const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  .filter((value) => !/\p{Cc}/u.test(value) && value.isWellFormed() && !value.startsWith('__'))
const source = fc
  .oneof(
    fc.webUrl(),
    fc.stringMatching(/^\/[a-z0-9/._-]{0,20}$/),
    fc.stringMatching(/^urn:[a-z]{2,8}:[a-z0-9]{1,9}$/),
  )
  .filter(isUriReference)
const value = fc.oneof(
  fc.string(),
  fc.boolean(),
  fc.integer(),
  fc.constant(null),
  fc.array(fc.string(), { maxLength: 3 }),
)
const data = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), value, { maxKeys: 5, noNullPrototype: true })
const event: fc.Arbitrary<CloudEventV1<unknown>> = fc
  .record({
    id: text,
    source,
    type: text,
    subject: text,
    time: fc.constantFrom('2026-03-01T11:59:00.000Z', '2026-03-01T11:00:00.123Z'),
    data,
    ext: text,
  })
  .map(({ ext, ...rest }) => ({
    specversion: '1.0',
    datacontenttype: 'application/json',
    ...rest,
    traceparent: ext,
  }))

describe('what the CloudEvents SDK sends', () => {
  it('is read in every mode as the same event', async () => {
    await fc.assert(
      fc.asyncProperty(event, async (one) => {
        const cloudEvent = new CloudEvent(one)
        const seen = await Promise.all(
          [HTTP.binary(cloudEvent), HTTP.structured(cloudEvent)].map(async (message) => {
            const { ingest, log } = aStage()
            const headers = Object.fromEntries(
              Object.entries(message.headers).map(([name, given]) => [
                name.toLowerCase(),
                encodeHeader(String(given)),
              ]),
            )
            const answer = await ingest.accept({
              tenant: 'ten_1' as never,
              contentType: headers['content-type'],
              contentEncoding: undefined,
              headers: () => headers,
              body: Buffer.from(message.body as string),
              atomic: false,
              receipts: false,
            })
            expect(answer).toMatchObject({ kind: 'accepted', accepted: 1 })
            return log.events()[0]
          }),
        )
        expect(seen[0]).toEqual(seen[1])
        expect(seen[0]).toMatchObject({
          id: one.id,
          source: one.source,
          type: one.type,
          subject: one.subject,
        })
        expect(seen[0]?.time).toBe(Date.parse(String(one.time)))
      }),
      { numRuns: 300 },
    )
  })

  it('what its own check takes is taken, but for our own rules; what it refuses is refused', async () => {
    const part = fc.record(
      {
        specversion: fc.constantFrom('1.0', '1.0', '1.0', '0.3', 'x'),
        id: fc.constantFrom('a', 'a', 'a', ''),
        source: fc.constantFrom('/s', 'urn:x:y', '', 'http://[', '::'),
        type: fc.constantFrom('t', 't', 't', ''),
        subject: fc.constantFrom('u', 'u', 'u', ''),
        time: fc.constantFrom('2026-03-01T11:59:00Z', '2026-03-01T11:59:00+01:00', 'noon'),
        extname: fc.constantFrom('x', ''),
        Extension: fc.constant('x'),
      },
      { requiredKeys: ['specversion', 'id', 'type'] },
    )
    await fc.assert(
      fc.asyncProperty(part, async (one) => {
        // The SDK fills in an id where there is none or an empty one, and lets every version but 1.0 pass unchecked.
        let isGoodToSdk = one.specversion === '1.0' && one.id === 'a'
        try {
          new CloudEvent(one, true)
        } catch {
          isGoodToSdk = false
        }
        // The SDK does not check times and URIs, and lets other case in names pass as its schema does.
        const isOurs =
          one.subject !== undefined &&
          one.subject !== '' &&
          one.time !== 'noon' &&
          one.source !== 'http://[' &&
          one.source !== '::' &&
          one.Extension === undefined
        const answer = await aStage().send([one])
        const isTaken = answer.kind === 'accepted' && answer.accepted === 1
        if (!isGoodToSdk) expect(isTaken).toBe(false)
        else expect(isTaken).toBe(isOurs)
      }),
      { numRuns: 500 },
    )
  })
})

/** The SDK leaves percent-encoding to the transport. */
function encodeHeader(given: string): string {
  return given.replace(/[^!#-$&-~]/gu, (char) => encodeURIComponent(char))
}

describe('binary mode', () => {
  it.each([
    ['plain', 'plain'],
    ['Zo%C3%AB', 'Zoë'],
    ['Zo%c3%ab', 'Zoë'],
    ['%41', 'A'],
    ['%2541', '%41'],
    ['"quoted \\"text\\""', 'quoted "text"'],
    ['100%', '100%'],
    ['%C0%A0', null],
    ['%FF', null],
    ['', ''],
  ])('%s is %s', (header, expected) => {
    expect(decodeHeaderValue(header)).toBe(expected)
  })

  const headers = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
    'ce-specversion': '1.0',
    'ce-id': 'b',
    'ce-source': '/gateway',
    'ce-type': 'llm.request',
    'ce-subject': 'acme',
    ...more,
  })
  const sendBinary = async (body: string, contentType: string | undefined, more = {}) => {
    const stage = aStage()
    const answer = await stage.send([], {
      body: Buffer.from(body),
      contentType,
      headers: () => headers(more),
    })
    return { answer, events: stage.log.events() }
  }

  it('the body cannot break out of the data', async () => {
    const { answer } = await sendBinary('{}},{"x":1', 'application/json')
    expect(answer).toMatchObject({ kind: 'refused', code: 'malformedJson' })
    expect((await sendBinary('1,"type":"other"', 'application/json')).answer).toMatchObject({
      code: 'malformedJson',
    })
  })

  it('an event needs no body', async () => {
    const { answer, events } = await sendBinary('', undefined)
    expect(answer).toMatchObject({ accepted: 1 })
    expect(events).toMatchObject([{ id: 'b', properties: {} }])
  })

  it('data of another media type is the fault of the event', async () => {
    expect((await sendBinary('<a/>', 'text/xml')).answer).toMatchObject({
      rejected: [{ code: 'unsupportedData' }],
    })
  })

  it.each(['ce-datacontenttype', 'ce-data', 'ce-data_base64'])('%s must not be sent', async (name) => {
    expect((await sendBinary('{}', 'application/json', { [name]: 'x' })).answer).toMatchObject({
      code: 'malformedHeaders',
    })
  })
})

describe('modes by Content-Type', () => {
  it.each([
    ['application/cloudevents-batch+json', 'batch'],
    ['Application/CloudEvents-Batch+JSON; charset=utf-8', 'batch'],
    ['application/cloudevents+json; charset=UTF-8', 'single'],
    ['application/cloudevents', 'single'],
    ['application/json', 'either'],
    ['application/json; charset=utf-8', 'either'],
    ['application/cloudevents+avro', 'none'],
    ['application/cloudevents-batch+xml', 'none'],
    ['text/plain', 'none'],
    [undefined, 'none'],
  ])('%s is %s', async (contentType, mode) => {
    const { ingest } = aStage()
    const outcomes = await Promise.all(
      [aCloudEvent(), [aCloudEvent({ id: '2' })]].map(async (body) => {
        const answer = await ingest.accept({
          tenant: 'ten_1' as never,
          contentType,
          contentEncoding: undefined,
          headers: () => ({}),
          body: Buffer.from(JSON.stringify(body)),
          atomic: false,
          receipts: false,
        })
        return answer.kind === 'accepted' ? answer.accepted : answer.code
      }),
    )
    const expected = {
      batch: ['malformedBatch', 1],
      single: [1, 0], // an array is not an event
      either: [1, 1],
      none: ['unsupportedMediaType', 'unsupportedMediaType'],
    }
    expect(outcomes).toEqual(expected[mode as keyof typeof expected])
  })
})
