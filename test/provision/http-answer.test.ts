import { describe, expect, it } from 'vitest'
import type { CustomerKey, QuotaKey } from '../../src/id/ids.ts'
import { type QuotaFigures, type Refusal, refusal, REFUSAL_CODES } from '../../src/provision/decide.ts'
import { ANSWER_DEFAULTS, answerOf, type AnswerOptions } from '../../src/provision/http-answer.ts'
import type { Verification } from '../../src/provision/key-table.ts'
import { at } from '../support/gate.ts'

const MONTHLY: QuotaFigures = {
  quota: 'monthly' as QuotaKey,
  unit: 'tokens',
  limit: '1000000.9',
  used: '998765.5',
  remaining: '1235.4',
  epoch: '2023-11',
  startsAt: at('2023-11-01T00:00:00Z'),
  resetAt: at('2023-12-01T00:00:00Z'),
  warning: '0.8',
  version: 41,
}
const PREPAID: QuotaFigures = {
  ...MONTHLY,
  quota: 'credits' as QuotaKey,
  unit: 'µ"',
  resetAt: null,
  warning: null,
}
const KNOWN = {
  keyId: null,
  name: 'k',
  customer: 'acme' as CustomerKey,
  subject: null,
  scopes: [],
  environment: 'live',
  decidedAt: at('2023-11-30T00:00:00.500Z'),
  quotas: [MONTHLY],
  rates: [{ name: 'rps', rate: { requestsPerSecond: 50, burst: 50 }, remaining: 12 }],
} as const
const NOBODY = {
  ...KNOWN,
  name: null,
  customer: null,
  environment: null,
  decidedAt: null,
  quotas: [],
  rates: [],
}
const refused = (
  code: Refusal['code'],
  status: Refusal['status'],
  more: Partial<Refusal> = {},
  about: object = KNOWN,
): Verification =>
  ({ ...about, valid: false, refusal: { ...refusal(code, status, 'why'), ...more } }) as Verification
const OPTIONS: AnswerOptions = {
  ...ANSWER_DEFAULTS,
  topUpUrl: 'https://example.com/top-up',
  upgradeUrl: 'https://example.com/plans',
}

describe('I9: decisions as HTTP', () => {
  it('let in: the rates and quotas as RateLimit fields, and the warning', () => {
    const answer = answerOf({ ...KNOWN, quotas: [MONTHLY, PREPAID], valid: true, requestsRemaining: 12 })
    expect(answer).toEqual({
      status: 200,
      problem: null,
      headers: {
        'ratelimit-policy': '"rps";q=50;w=1, "monthly";q=1000000;w=2592000;qu="tokens", "credits";q=1000000',
        ratelimit: '"rps";r=12;t=1, "monthly";r=1235;t=86400, "credits";r=1235',
        'meter-warning': '"monthly";level=80',
      },
    })
  })

  it.each(['malformedKey', 'unknownKey', 'revokedKey', 'expiredKey'] as const)('%s: 401', (code) => {
    const answer = answerOf(refused(code, 401, {}, NOBODY), OPTIONS)
    expect(answer).toMatchObject({
      status: 401,
      headers: {
        'www-authenticate': 'Bearer realm="api", error="invalid_token"',
        'cache-control': 'no-store',
      },
      problem: { type: 'urn:tallyman:problem:invalid-key', status: 401, code, detail: 'why' },
    })
    expect(Object.keys(answer.headers)).toHaveLength(2)
  })

  it('missingKey: 401 without an error code', () => {
    const answer = answerOf(refused('missingKey', 401, {}, NOBODY))
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="api"')
  })

  it('notYetValidKey: 401, and waiting helps', () => {
    const answer = answerOf(refused('notYetValidKey', 401, { retryAfterSeconds: 60 }))
    expect(answer).toMatchObject({ status: 401, headers: { 'retry-after': '60' } })
  })

  it('keySuspended: 403 with the kinds of its causes, and nothing of who and why', () => {
    const causes = [
      { kind: 'admin', by: 'key_secret', reason: 'a private remark', since: at('2023-11-02T00:00:00Z') },
    ] as const
    const answer = answerOf(refused('keySuspended', 403, { causes }))
    expect(answer.problem).toMatchObject({
      type: 'urn:tallyman:problem:key-suspended',
      causes: [{ kind: 'admin', since: '2023-11-02T00:00:00Z' }],
    })
    expect(JSON.stringify(answer)).not.toContain('secret')
    expect(answer.headers['retry-after']).toBeUndefined()
  })

  it.each([
    ['insufficientPermission', 'insufficient-scope'],
    ['addressNotAllowed', 'address-not-allowed'],
  ] as const)('%s: 403', (code, type) => {
    const answer = answerOf(refused(code, 403))
    expect(answer).toMatchObject({ status: 403, problem: { type: `urn:tallyman:problem:${type}` } })
    expect(answer.headers['retry-after']).toBeUndefined()
  })

  it('rateLimited: 429 with the policy and the wait', () => {
    const rates = [{ ...KNOWN.rates[0], remaining: 0 }]
    const answer = answerOf(
      refused('rateLimited', 429, { policy: 'rps', retryAfterSeconds: 1 }, { ...KNOWN, rates }),
    )
    expect(answer).toMatchObject({
      status: 429,
      headers: { 'retry-after': '1', ratelimit: expect.stringContaining('"rps";r=0;t=1') as string },
      problem: { type: ANSWER_DEFAULTS.quotaExceededType, 'violated-policies': ['rps'] },
    })
  })

  it('quotaExceeded: 429 with figures, the reset, and the state of the books', () => {
    const answer = answerOf(
      refused('quotaExceeded', 429, { quota: MONTHLY, retryAfterSeconds: 86_400 }),
      OPTIONS,
    )
    expect(answer).toMatchObject({
      status: 429,
      headers: { 'retry-after': '86400' },
      problem: {
        type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
        'violated-policies': ['monthly'],
        limit: '1000000.9',
        used: '998765.5',
        resetAt: '2023-12-01T00:00:00Z',
        upgradeUrl: 'https://example.com/plans',
        decision: { ver: 41, quota: 'monthly', epoch: '2023-11' },
      },
    })
  })

  it('creditsExhausted: 402, where to buy, and no Retry-After', () => {
    const answer = answerOf(refused('creditsExhausted', 402, { quota: PREPAID, needed: '2000' }), OPTIONS)
    expect(answer).toMatchObject({
      status: 402,
      headers: { link: '<https://example.com/top-up>; rel="payment"' },
      problem: {
        type: 'urn:tallyman:problem:credits-exhausted',
        balance: '1235.4',
        needed: '2000',
        topUpUrl: 'https://example.com/top-up',
      },
    })
    expect(answer.headers['retry-after']).toBeUndefined()
    expect(answerOf(refused('creditsExhausted', 402)).headers['link']).toBeUndefined()
  })

  it('inFlightBudget: 429, and a moment later it may pass', () => {
    const answer = answerOf(
      refused('inFlightBudget', 429, {
        quota: PREPAID,
        reserved: '1000',
        needed: '300',
        retryAfterSeconds: 1,
      }),
    )
    expect(answer).toMatchObject({
      status: 429,
      headers: { 'retry-after': '1' },
      problem: {
        type: 'urn:tallyman:problem:in-flight-budget',
        balance: '1235.4',
        reserved: '1000',
        needed: '300',
      },
    })
  })

  it('unavailable: 503, never 429 or 402', () => {
    const answer = answerOf(refused('unavailable', 503, { retryAfterSeconds: 3 }))
    expect(answer).toMatchObject({
      status: 503,
      headers: { 'retry-after': '3' },
      problem: { type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity' },
    })
  })

  it('has an answer with a type and a title for every code', () => {
    for (const code of REFUSAL_CODES) {
      const { problem } = answerOf(refused(code, 401))
      expect([problem?.['code'], typeof problem?.['type'], typeof problem?.['title']]).toEqual([
        code,
        'string',
        'string',
      ])
    }
  })

  it('sends the older fields where they are asked for', () => {
    const options = { ...OPTIONS, legacyHeaders: true }
    const answer = answerOf({ ...KNOWN, valid: true, requestsRemaining: 12 }, options)
    expect(answer.headers).toMatchObject({
      'x-ratelimit-limit': '50',
      'x-ratelimit-remaining': '12',
      'x-ratelimit-reset': '1',
    })
  })
})
