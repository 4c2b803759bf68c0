import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { judgeAnswer, type Verdict } from '../src/answer.ts'

function judge(status: number, body: unknown, events = 2): Verdict {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return judgeAnswer({ kind: 'answered', status, retryAfterMs: null, text }, events)
}
const rejection = { index: 1, id: 'b', code: 'tooOld', detail: 'Too old.' }

describe('judgeAnswer', () => {
  it('settles a batch when the answer accounts for each event', () => {
    const receipt = { id: 'a', partition: 3, offset: 7, index: 0 }
    expect(judge(202, { accepted: 1, duplicates: 0, rejected: [rejection], receipts: [receipt] })).toEqual({
      kind: 'settled',
      duplicates: 0,
      rejected: [{ index: 1, code: 'tooOld', detail: 'Too old.' }],
      receipts: [receipt],
    })
    expect(judge(202, { accepted: 1, duplicates: 1, rejected: [] })).toMatchObject({ kind: 'settled' })
  })

  it.each<[body: unknown, what: string]>([
    ['', 'nothing'],
    ['<html>', 'no JSON'],
    ['null', 'null'],
    ['[]', 'a list'],
    [{ accepted: 2, duplicates: 0 }, 'no list of rejections'],
    [{ accepted: 1, duplicates: 0, rejected: [] }, 'one event too few'],
    [{ accepted: 3, duplicates: 0, rejected: [] }, 'one too many'],
    [{ accepted: -1, duplicates: 3, rejected: [] }, 'a negative count'],
    [{ accepted: '2', duplicates: 0, rejected: [] }, 'a count in quotes'],
    [{ accepted: 1, duplicates: 0, rejected: [{ ...rejection, index: 2 }] }, 'a rejection of no event'],
    [{ accepted: 0, duplicates: 0, rejected: [rejection, rejection] }, 'one event rejected twice'],
    [{ accepted: 1, duplicates: 0, rejected: [{ index: 1 }] }, 'a rejection without a code'],
  ])('202 with %j is sent again: %s', (body) => {
    expect(judge(202, body)).toMatchObject({ kind: 'retry', code: 'garbledAnswer' })
  })

  it('gives an event up only by word of the server itself: a problem with a code', () => {
    for (const status of [400, 422]) {
      expect(judge(status, { code: 'malformedBatch', detail: 'No.' })).toEqual({
        kind: 'split',
        code: 'malformedBatch',
        detail: 'No.',
      })
      expect(judge(status, 'Bad request')).toMatchObject({ kind: 'halt', code: 'unexpectedAnswer' })
    }
  })

  it('C3: every status has one verdict, and none but 202 settles', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 599 }), fc.string(), (status, text) => {
        const { kind } = judge(status, text)
        const passes = [408, 425, 429].includes(status) || status >= 500 || (status >= 200 && status < 300)
        expect(kind).toBe(passes ? 'retry' : status === 413 ? 'split' : 'halt')
      }),
    )
  })

  it('retries when there is no answer, and hands Retry-After on', () => {
    expect(judgeAnswer({ kind: 'unreachable', detail: 'refused' }, 1)).toMatchObject({
      kind: 'retry',
      code: 'unreachable',
    })
    expect(judgeAnswer({ kind: 'answered', status: 503, retryAfterMs: 2000, text: '' }, 1)).toMatchObject({
      kind: 'retry',
      code: 'unavailable',
      retryAfterMs: 2000,
    })
  })
})
