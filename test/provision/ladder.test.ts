import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decimal, fromBigInt } from '../../src/money/decimal.ts'
import { climb, rungName } from '../../src/provision/ladder.ts'
import type { Rung } from '../../src/provision/quota.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'

const T0 = instantOf(1_700_000_000_000)
const HOUR = 3_600_000
const position = (
  ladder: readonly Rung[],
  used: string,
  {
    limit = '100',
    reachedAt = {},
    now = T0,
  }: { limit?: string | null; reachedAt?: Record<string, number>; now?: number } = {},
) =>
  climb({
    used: decimal(used),
    limit: limit === null ? null : decimal(limit),
    ladder,
    reachedAt: new Map(Object.entries(reachedAt) as [string, Instant][]),
    now: instantOf(now),
  })

const DEFAULT: readonly Rung[] = [
  { at: '0.8', action: 'notify' },
  { at: '1', action: 'suspend' },
]

describe('I4: the phase is a pure function of usage, limit, ladder and clock', () => {
  it.each([
    ['0', 'open', []],
    ['79.999999999', 'open', []],
    ['80', 'open', ['0.8 notify']],
    ['99.9', 'open', ['0.8 notify']],
    ['100', 'suspended', ['0.8 notify', '1 suspend']],
    ['1000', 'suspended', ['0.8 notify', '1 suspend']],
  ])('notify at 80 %%, suspend at 100 %%: %s of 100 is %s', (used, phase, reached) => {
    const found = position(DEFAULT, used)
    expect(found.phase).toBe(phase)
    expect(found.reached.map(rungName)).toEqual(reached)
  })

  it('an unlimited quota reaches no rung, a limit of zero reaches all at once', () => {
    expect(position(DEFAULT, '999999', { limit: null }).phase).toBe('open')
    expect(position(DEFAULT, '0', { limit: '0' }).phase).toBe('suspended')
  })

  it.each([
    ['throttle', 'throttled'],
    ['overage', 'overage'],
    ['block', 'exhausted'],
    ['suspend', 'suspended'],
    ['revoke', 'revoked'],
  ] as const)('%s leads to %s', (action, phase) => {
    const rung: Rung = action === 'throttle' ? { at: '1', action, requestsPerSecond: 2 } : { at: '1', action }
    expect(position([rung], '100').phase).toBe(phase)
  })

  describe('grace', () => {
    const ladder: readonly Rung[] = [
      { at: '1', action: 'grace', graceSeconds: 3600 },
      { at: '1.2', action: 'block' },
    ]
    it('is open until its time is over, counted from the first moment the rung was reached', () => {
      expect(position(ladder, '100')).toMatchObject({ phase: 'grace', graceUntil: T0 + HOUR })
      const reachedAt = { '1 grace': T0 }
      expect(position(ladder, '110', { reachedAt, now: T0 + HOUR - 1 }).phase).toBe('grace')
      expect(position(ladder, '110', { reachedAt, now: T0 + HOUR }).phase).toBe('exhausted')
    })
    it('ends early where the next share of the limit is used', () => {
      expect(position(ladder, '120').phase).toBe('exhausted')
    })
    it('shields the rungs of its own share', () => {
      const same: readonly Rung[] = [
        { at: '1', action: 'grace', graceSeconds: 3600 },
        { at: '1.0', action: 'suspend' },
      ]
      expect(position(same, '150').phase).toBe('grace')
      expect(position(same, '150', { reachedAt: { '1 grace': T0 }, now: T0 + HOUR }).phase).toBe('suspended')
    })
    it('with nothing behind it ends in a block', () => {
      const alone: readonly Rung[] = [{ at: '1', action: 'grace', graceSeconds: 60 }]
      expect(position(alone, '100', { reachedAt: { '1 grace': T0 }, now: T0 + 60_000 }).phase).toBe(
        'exhausted',
      )
    })
    it('a second grace begins when the first ends', () => {
      const two: readonly Rung[] = [
        { at: '1', action: 'grace', graceSeconds: 60 },
        { at: '2', action: 'grace', graceSeconds: 60 },
      ]
      const reachedAt = { '1 grace': T0 }
      expect(position(two, '100', { reachedAt, now: T0 + 90_000 })).toMatchObject({
        phase: 'grace',
        graceUntil: T0 + 120_000,
      })
      expect(position(two, '100', { reachedAt, now: T0 + 120_000 }).phase).toBe('exhausted')
    })
  })

  it('more usage never opens, a higher limit never shuts', () => {
    const severity = ['open', 'overage', 'throttled', 'exhausted', 'suspended', 'revoked']
    const ladder: readonly Rung[] = [
      { at: '0.5', action: 'notify' },
      { at: '0.9', action: 'overage' },
      { at: '1', action: 'throttle', requestsPerSecond: 1 },
      { at: '1.1', action: 'block' },
      { at: '1.5', action: 'suspend' },
    ]
    const amounts = fc.bigInt({ min: 0n, max: 10n ** 20n })
    fc.assert(
      fc.property(amounts, amounts, amounts, (used, more, limit) => {
        const rank = (u: bigint, l: bigint) =>
          severity.indexOf(
            climb({ used: fromBigInt(u), limit: fromBigInt(l), ladder, reachedAt: new Map(), now: T0 }).phase,
          )
        expect(rank(used + more, limit)).toBeGreaterThanOrEqual(rank(used, limit))
        expect(rank(used, limit + more)).toBeLessThanOrEqual(rank(used, limit))
      }),
    )
  })
})
