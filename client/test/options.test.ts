import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { aCloudEvent, aStage } from '../../test/support/ingest.ts'
import { createTallyman, type TallymanOptions } from '../src/index.ts'
import { eventsUrl, readLimits, readSource } from '../src/options.ts'

describe('options', () => {
  it('have the documented presets', () => {
    expect(readLimits({})).toEqual({
      bufferEventsMax: 100_000,
      bufferBytesMax: 64 * 1024 * 1024,
      batchEventsMax: 500,
      batchBytesMax: 1024 * 1024,
      lingerMs: 200,
      inFlightMax: 4,
      requestTimeoutMs: 30_000,
      retryBaseMs: 500,
      retryPauseMsMax: 30_000,
      retryAfterMsMax: 300_000,
      haltedRetryMs: 60_000,
    })
  })

  it.each([
    { url: 'tallyman.example' },
    { url: 'ftp://tallyman.example' },
    { source: '' },
    { source: 'two words' },
    { source: '1a:b' },
    { source: '//' },
    { source: 'urn:tallyman:void' },
    { inFlightMax: 0 },
    { lingerMs: 1.5 },
    { batchEventsMax: Infinity },
    { bufferBytesMax: 1000 },
  ] satisfies Partial<TallymanOptions>[])('%j is refused at once', (wrong) => {
    const right = { url: 'https://tallyman.example', apiKey: 'key', source: '/gateway' }
    expect(() => createTallyman({ ...right, ...wrong })).toThrow(/^"(url|source|[a-zA-Z]+)" must/)
  })

  it('keeps a path before the route', () => {
    expect(eventsUrl('https://tallyman.example')).toBe('https://tallyman.example/v1/events')
    expect(eventsUrl('http://gateway:8888/tallyman/')).toBe('http://gateway:8888/tallyman/v1/events')
  })

  it.each(['/gateway', 'gateway', 'urn:gateway:eu-1', 'https://acme.example:8080/a?b#c', 'a/b:c'])(
    'takes %s as a source',
    (source) => {
      expect(readSource(source)).toBe(source)
    },
  )

  it('takes no source that the server does not', async () => {
    const stage = aStage()
    const part = fc.constantFrom(
      'a',
      '1',
      ':',
      '/',
      '//',
      '?',
      '#',
      '%41',
      '%',
      '@',
      '-',
      'urn:',
      ' ',
      '[',
      'ä',
    )
    let taken = 0
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 8 }), async (parts) => {
        const source = parts.join('')
        try {
          readSource(source)
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError)
          return
        }
        taken += 1
        expect(await stage.send([aCloudEvent({ source })])).toMatchObject({ kind: 'accepted', rejected: [] })
      }),
      { numRuns: 3000 },
    )
    expect(taken).toBeGreaterThan(300)
  })
})
