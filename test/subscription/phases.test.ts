import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PlanVersion, VersionPolicy } from '../../src/catalog/plan.ts'
import type { PlanKey } from '../../src/id/ids.ts'
import type { Currency } from '../../src/money/currency.ts'
import {
  phasesFrom,
  samePhases,
  versionAt,
  versionStart,
  withChange,
  withVersion,
} from '../../src/subscription/phases.ts'
import type { SubscriptionPhase } from '../../src/subscription/subscription.ts'
import { periodAt } from '../../src/time/billing-period.ts'
import { formatInstant, type Instant, instantOf } from '../../src/time/instant.ts'

const START = instantOf(Date.UTC(2024, 0, 10))
const day = (days: number): Instant => instantOf(START + days * 86_400_000)
const schedule = { startsAt: START, interval: 'month', anchorDay: 31, timezone: 'Europe/Berlin' } as const

type Version = Pick<
  PlanVersion,
  'key' | 'version' | 'currency' | 'interval' | 'effectiveAt' | 'existingSubscriptions'
>
function version(
  number: number,
  effectiveAt: Instant | null,
  policy: VersionPolicy,
  members: Partial<Version> = {},
): Version {
  return {
    key: 'basic' as PlanKey,
    version: number,
    currency: 'USD' as Currency,
    interval: 'month',
    effectiveAt,
    existingSubscriptions: policy,
    ...members,
  }
}
const shown = (phases: readonly SubscriptionPhase[]) =>
  phases.map(
    ({ start, plan, version: number }) => `${String((start - START) / 86_400_000)} ${plan}@${String(number)}`,
  )
const phase = (start: number, plan: string, number: number): SubscriptionPhase => ({
  start: day(start),
  plan: plan as PlanKey,
  version: number,
  reason: 'change',
  overrides: {},
})

describe('a beginning', () => {
  it('takes the newest version in force then, and those announced for later by their policies', () => {
    const versions = [
      version(1, null, 'grandfather'),
      version(2, day(-5), 'grandfather'),
      version(3, day(30), 'immediate'),
      version(4, day(60), 'grandfather'),
    ]
    expect(shown(phasesFrom(START, versions, schedule, 'created', {}))).toEqual(['0 basic@2', '30 basic@3'])
    expect(shown(phasesFrom(day(70), versions, schedule, 'created', {}))).toEqual(['70 basic@4'])
  })

  it('a version that was overtaken before it took effect never does', () => {
    const versions = [
      version(1, null, 'grandfather'),
      version(2, day(60), 'immediate'),
      version(3, day(30), 'immediate'),
    ]
    expect(shown(phasesFrom(START, versions, schedule, 'created', {}))).toEqual(['0 basic@1', '30 basic@3'])
  })

  it('the first version holds for all time before it, too', () => {
    expect(versionAt([version(1, day(10), 'grandfather')], START).version).toBe(1)
  })

  it('a version in another currency or interval is not for those who subscribed before', () => {
    const versions = [
      version(1, null, 'grandfather'),
      version(2, day(30), 'immediate', { currency: 'EUR' as Currency }),
      version(3, day(40), 'immediate', { interval: 'year' }),
    ]
    expect(shown(phasesFrom(START, versions, schedule, 'created', {}))).toEqual(['0 basic@1'])
  })
})

describe('the policy of a version', () => {
  it('I5: never, at the next renewal, or at the moment it takes effect', () => {
    expect(versionStart({ existingSubscriptions: 'grandfather' }, day(1), schedule)).toBeNull()
    expect(versionStart({ existingSubscriptions: 'immediate' }, day(1), schedule)).toBe(day(1))
    const next = versionStart({ existingSubscriptions: 'nextRenewal' }, day(25), schedule)
    // The 31st of a February that has 29 days, at midnight of Berlin.
    expect(next === null ? null : formatInstant(next)).toBe('2024-02-28T23:00:00Z')
    expect(versionStart({ existingSubscriptions: 'nextRenewal' }, next ?? day(0), schedule)).toBe(next)
  })

  it('I5: a renewal is a boundary of the billing periods, at or after the moment it takes effect', () => {
    fc.assert(
      fc.property(fc.integer({ min: -4000, max: 40_000 }), (hours) => {
        const at = instantOf(START + hours * 3_600_000)
        const start = versionStart({ existingSubscriptions: 'nextRenewal' }, at, schedule)
        if (start === null) throw new Error('never')
        expect(start).toBeGreaterThanOrEqual(at)
        expect(periodAt(schedule, start).start).toBe(start)
        expect(start - at).toBeLessThan(32 * 86_400_000)
      }),
    )
  })
})

describe('phases', () => {
  it('a version is in force wherever its plan is, from its start on', () => {
    const phases = [phase(0, 'basic', 1), phase(30, 'pro', 1), phase(60, 'basic', 1)]
    const two = { key: 'basic' as PlanKey, version: 2 }
    expect(shown(withVersion(phases, two, day(10)))).toEqual([
      '0 basic@1',
      '10 basic@2',
      '30 pro@1',
      '60 basic@2',
    ])
    expect(shown(withVersion(phases, two, day(40)))).toEqual(['0 basic@1', '30 pro@1', '60 basic@2'])
    expect(shown(withVersion(phases, two, day(70)))).toEqual([
      '0 basic@1',
      '30 pro@1',
      '60 basic@1',
      '70 basic@2',
    ])
    expect(shown(withVersion(phases, two, day(-1)))).toEqual(['0 basic@2', '30 pro@1', '60 basic@2'])
  })

  it('I4: stay in order and begin where they began, whatever is put into them', () => {
    const put = fc.record({
      start: fc.integer({ min: 0, max: 50 }),
      plan: fc.constantFrom('basic', 'pro'),
      number: fc.integer({ min: 1, max: 4 }),
      as: fc.constantFrom('version', 'change'),
    })
    fc.assert(
      fc.property(fc.array(put, { maxLength: 15 }), (puts) => {
        let phases: readonly SubscriptionPhase[] = [phase(0, 'basic', 1)]
        for (const { start, plan, number, as } of puts) {
          phases =
            as === 'version'
              ? withVersion(phases, { key: plan as PlanKey, version: number }, day(start))
              : withChange(phases, [phase(start, plan, number)])
          expect(phases[0]?.start).toBe(START)
          for (const [i, one] of phases.entries()) {
            const next = phases[i + 1]
            if (next === undefined) continue
            expect(next.start).toBeGreaterThan(one.start)
            expect([next.plan, next.version]).not.toEqual([one.plan, one.version])
          }
          const inForce = phases.findLast((one) => one.start <= day(start))
          if (as === 'change') expect([inForce?.plan, inForce?.version]).toEqual([plan, number])
          else if (inForce?.plan === plan) expect(inForce.version).toBe(number)
          for (const one of phases) if (as === 'change') expect(one.start).toBeLessThanOrEqual(day(start))
        }
      }),
    )
  })

  it('are the same whatever the order of the members of their overrides', () => {
    const one = { ...phase(0, 'basic', 1), overrides: { fee: { price: { model: 'flat', amount: '1' } } } }
    const two = { ...phase(0, 'basic', 1), overrides: { fee: { price: { amount: '1', model: 'flat' } } } }
    expect(samePhases([one], [two])).toBe(true)
    expect(samePhases([one], [phase(0, 'basic', 1)])).toBe(false)
    expect(shown(withChange([one], [{ ...two, start: day(5) }]))).toEqual(['0 basic@1'])
  })
})
