import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CustomerKey, PlanKey, SubscriptionId, TenantId } from '../../src/id/ids.ts'
import {
  SUBSCRIPTION_STATES,
  SUBSCRIPTION_TRIGGERS,
  type SubscriptionState,
  type SubscriptionTrigger,
  transition,
} from '../../src/subscription/lifecycle.ts'
import { phaseAt, serviceEnd, type Subscription } from '../../src/subscription/subscription.ts'
import {
  cancelNow,
  catchUp,
  type Change,
  changePlan,
  nextDue,
  pause,
  resume,
  scheduleCancel,
  unscheduleCancel,
} from '../../src/subscription/transitions.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'

/** The table of the design, on its own: from, trigger, to. */
const LEGAL: readonly (readonly [SubscriptionState, SubscriptionTrigger, SubscriptionState])[] = [
  ['pending', 'start', 'active'],
  ['pending', 'startGated', 'incomplete'],
  ['pending', 'startTrial', 'trialing'],
  ['pending', 'cancel', 'canceled'],
  ['incomplete', 'firstInvoicePaid', 'active'],
  ['incomplete', 'firstInvoiceExpired', 'incompleteExpired'],
  ['trialing', 'endTrial', 'active'],
  ['trialing', 'endTrialUnpaid', 'paused'],
  ['trialing', 'pause', 'paused'],
  ['trialing', 'cancel', 'canceled'],
  ['trialing', 'scheduleCancel', 'trialing'],
  ['trialing', 'unscheduleCancel', 'trialing'],
  ['trialing', 'change', 'trialing'],
  ['active', 'fallDue', 'pastDue'],
  ['active', 'pause', 'paused'],
  ['active', 'cancel', 'canceled'],
  ['active', 'scheduleCancel', 'active'],
  ['active', 'unscheduleCancel', 'active'],
  ['active', 'change', 'active'],
  ['active', 'renew', 'active'],
  ['active', 'endTerm', 'ended'],
  ['pastDue', 'recover', 'active'],
  ['pastDue', 'cancel', 'canceled'],
  ['pastDue', 'unscheduleCancel', 'pastDue'],
  ['paused', 'resume', 'active'],
  ['paused', 'cancel', 'canceled'],
  ['paused', 'unscheduleCancel', 'paused'],
]

const START = instantOf(Date.UTC(2024, 0, 10))
const day = (days: number): Instant => instantOf(START + Math.floor(days * 86_400_000))

function aSubscription(members: Partial<Subscription> = {}): Subscription {
  return {
    tenant: 't' as TenantId,
    id: 'sub_1' as SubscriptionId,
    customer: 'acme' as CustomerKey,
    state: 'active',
    startsAt: START,
    anchorDay: 10,
    timezone: 'UTC',
    cancelAt: null,
    endedAt: null,
    phases: [{ start: START, plan: 'basic' as PlanKey, version: 1, reason: 'created', overrides: {} }],
    pauses: [],
    revision: 1,
    createdAt: START,
    updatedAt: START,
    ...members,
  }
}

const toPro = (start: Instant) => [
  { start, plan: 'pro' as PlanKey, version: 1, reason: 'change' as const, overrides: {} },
]

describe('the table of transitions', () => {
  it('I1: is total: each pair is the legal one of the design or illegal', () => {
    for (const state of SUBSCRIPTION_STATES) {
      for (const trigger of SUBSCRIPTION_TRIGGERS) {
        const legal = LEGAL.find(([from, by]) => from === state && by === trigger)
        const step = transition(state, trigger)
        expect([state, trigger, step.kind === 'moved' ? step.state : null]).toEqual([
          state,
          trigger,
          legal?.[2] ?? null,
        ])
      }
    }
  })

  it('I1: nothing leads out of a terminal state', () => {
    for (const state of ['canceled', 'ended', 'incompleteExpired'] as const) {
      for (const trigger of SUBSCRIPTION_TRIGGERS) expect(transition(state, trigger).kind).toBe('illegal')
    }
  })

  const commands: Readonly<Record<string, readonly [SubscriptionTrigger, (of: Subscription) => Change]>> = {
    cancel: ['cancel', (of) => cancelNow(of, day(5), 'why')],
    scheduleCancel: ['scheduleCancel', (of) => scheduleCancel(of, day(9), day(5), null)],
    unscheduleCancel: ['unscheduleCancel', (of) => unscheduleCancel(of, day(5))],
    pause: ['pause', (of) => pause(of, day(5), null)],
    resume: ['resume', (of) => resume(of, day(5))],
    change: ['change', (of) => changePlan(of, toPro(day(5)), day(5))],
  }
  const pairs = SUBSCRIPTION_STATES.flatMap((state) =>
    Object.keys(commands).map((name) => [name, state] as const),
  )
  it.each(pairs)(
    'I2: %s in the state %s changes nothing and tells nothing unless it is legal',
    (name, state) => {
      const [trigger, command] = commands[name] ?? []
      if (trigger === undefined || command === undefined) throw new Error(name)
      const before = aSubscription({ state })
      const change = command(before)
      if (transition(state, trigger).kind === 'illegal') {
        expect(change).toEqual({ kind: 'illegal', subscription: before })
      } else if (change.kind === 'changed') {
        expect(change.notices).toHaveLength(1)
        expect(change.subscription).not.toEqual(before)
      } else {
        // A scheduled end that is not there cannot be taken back, which is legal and does nothing.
        expect([name, change.kind]).toEqual(['unscheduleCancel', 'unchanged'])
      }
    },
  )
})

describe('the calendar', () => {
  /** What may be asked of a subscription, at rising times. */
  const step = fc.record({
    afterDays: fc.integer({ min: 0, max: 20 }),
    ask: fc.constantFrom(
      'cancel',
      'scheduleCancel',
      'unscheduleCancel',
      'pause',
      'pauseUntil',
      'resume',
      'change',
      'nothing',
    ),
    inDays: fc.integer({ min: 1, max: 40 }),
  })
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

  function ask(of: Subscription, { ask: what, inDays }: Step, now: Instant): Change {
    const later = instantOf(now + inDays * 86_400_000)
    switch (what) {
      case 'cancel':
        return cancelNow(of, now, null)
      case 'scheduleCancel':
        return scheduleCancel(of, later, now, null)
      case 'unscheduleCancel':
        return unscheduleCancel(of, now)
      case 'pause':
        return pause(of, now, null)
      case 'pauseUntil':
        return pause(of, now, later)
      case 'resume':
        return resume(of, now)
      case 'change':
        return changePlan(of, toPro(inDays % 2 === 0 ? now : later), now)
      default:
        return { kind: 'unchanged', subscription: of }
    }
  }

  /** Plays the steps, asking the calendar `times` times in between, and answers all that was told. */
  function play(startsIn: number, steps: readonly Step[], times: number) {
    let subscription = aSubscription({ state: 'pending', startsAt: day(startsIn) })
    subscription = {
      ...subscription,
      phases: subscription.phases.map((phase) => ({ ...phase, start: day(startsIn) })),
    }
    const told: unknown[] = []
    let at = 0
    const take = (change: Change): void => {
      subscription = change.subscription
      if (change.kind === 'changed') told.push(...change.notices)
    }
    for (const one of [...steps, { afterDays: 100, ask: 'nothing' as const, inDays: 1 }]) {
      for (let i = 1; i <= times; i++) take(catchUp(subscription, day(at + (one.afterDays * i) / times)))
      at += one.afterDays
      take(ask(subscription, one, day(at)))
    }
    return { subscription, told }
  }

  it('I3: does the same however often it is asked, and whatever is due is legal', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -5, max: 30 }),
        fc.array(step, { maxLength: 12 }),
        fc.integer({ min: 2, max: 8 }),
        (startsIn, steps, times) => {
          const once = play(startsIn, steps, 1)
          const often = play(startsIn, steps, times)
          expect(often).toEqual(once)
          expect(catchUp(once.subscription, day(100_000)).subscription.endedAt).toBe(
            once.subscription.endedAt,
          )
        },
      ),
      { numRuns: 500 },
    )
  })

  it('I4: phases are contiguous from the start, pauses apart and within, and an end is kept', () => {
    fc.assert(
      fc.property(fc.integer({ min: -5, max: 30 }), fc.array(step, { maxLength: 12 }), (startsIn, steps) => {
        const { subscription } = play(startsIn, steps, 1)
        const { phases, pauses, startsAt, endedAt, state } = subscription
        expect(phases[0]?.start).toBe(startsAt)
        for (const [i, phase] of phases.entries()) {
          const next = phases[i + 1]
          if (next !== undefined) expect(next.start).toBeGreaterThan(phase.start)
          if (endedAt === null || phase.start < endedAt)
            expect(phaseAt(subscription, phase.start)).toEqual(phase)
        }
        for (const [i, one] of pauses.entries()) {
          const next = pauses[i + 1]
          if (one.end === null) expect([next, state]).toEqual([undefined, 'paused'])
          else expect(one.end).toBeGreaterThan(one.start)
          if (next !== undefined && one.end !== null) expect(next.start).toBeGreaterThanOrEqual(one.end)
          if (endedAt !== null && one.end !== null) expect(one.end).toBeLessThanOrEqual(endedAt)
        }
        expect(endedAt !== null).toBe(state === 'canceled')
        if (endedAt !== null) {
          expect(phaseAt(subscription, endedAt)).toBeNull()
          expect([serviceEnd(subscription), nextDue(subscription)]).toEqual([endedAt, null])
        }
      }),
      { numRuns: 500 },
    )
  })

  it('a pause that was to end after the scheduled end is ended by it', () => {
    const scheduled = scheduleCancel(aSubscription(), day(20), day(1), null).subscription
    const paused = pause(scheduled, day(2), day(30)).subscription
    expect(nextDue(paused)).toEqual({ at: day(20), trigger: 'cancel' })
    const after = catchUp(paused, day(40))
    expect(after.subscription).toMatchObject({
      state: 'canceled',
      endedAt: day(20),
      pauses: [{ start: day(2), end: day(20) }],
    })
    expect(after.kind === 'changed' && after.notices.map((notice) => notice.event)).toEqual([
      'subscription.canceled',
    ])
  })

  it('a change at or after the scheduled end is illegal: it would never be seen', () => {
    const scheduled = scheduleCancel(aSubscription(), day(20), day(1), null).subscription
    expect(changePlan(scheduled, toPro(day(20)), day(2)).kind).toBe('illegal')
    expect(changePlan(scheduled, toPro(day(19)), day(2)).kind).toBe('changed')
  })
})
