import type { PlanKey, SubscriptionId } from '../id/ids.ts'
import { periodAt, periodOfIndex, type BillingSchedule } from '../time/billing-period.ts'
import { type Instant, type Interval, formatInstant, instantOf } from '../time/instant.ts'
import { endOfLocalDay } from '../time/local-day.ts'
import type { BillablePhase, BillablePrice, BillableSubscription } from './billable.ts'
import type { CorrectionPolicy } from '../catalog/plan.ts'
import { type PlanArrival, planArrivals, priceInPeriod } from './discount-duration.ts'
import { boundsPrice, type PlanBounds } from './plan-total.ts'
import { type ServiceShare, serviceShare } from './service-share.ts'

/** What is owed for one price over one span of one period: the unit that is invoiced once and only once. */
export interface Charge {
  /** Natural key: the same for the same service whenever and however often it is computed. */
  readonly key: string
  readonly subscription: SubscriptionId
  readonly plan: PlanKey
  readonly planVersion: number
  readonly price: BillablePrice
  /** Position of the price in its plan. */
  readonly position: number
  readonly service: Interval
  readonly share: ServiceShare
  readonly corrections: CorrectionPolicy
  /** Of the charge for a plan's minimum and maximum: what they bound. Absent of others. */
  readonly bounds?: PlanBounds
  /**
   * The close at which it is first invoiced: the start of its period in advance, the end in arrears. A fee in advance
   * that begins within a period (a change of plan) waits for the period's end, with the credit for the old one.
   */
  readonly dueAt: Instant
}

/** A stretch of phases whose plans have one interval: the periods go on through changes of plan. */
interface Stretch {
  readonly schedule: BillingSchedule
  readonly span: { readonly start: Instant; readonly end: Instant | null }
  readonly phases: readonly BillablePhase[]
}

/** A span of a subscription that one close bills: a whole period, or the part of it in which the subscription ran. */
interface RunningPeriod extends Interval {
  readonly whole: Interval
  readonly phases: readonly BillablePhase[]
  readonly timezone: string
  readonly arrivals: ReadonlyMap<PlanKey, PlanArrival>
}

/**
 * Every charge of the subscription that is due at or before `through`, in order of time, then of the plan's prices.
 * What was invoiced already is among them: the caller compares.
 */
export function chargesThrough(subscription: BillableSubscription, through: Instant): Charge[] {
  const charges: Charge[] = []
  for (const period of runningPeriods(subscription, null, through)) {
    for (const charge of chargesOfPeriod(subscription.id, period)) {
      if (charge.dueAt <= through) charges.push(charge)
    }
  }
  return charges
}

/**
 * The instants at which the subscription has something to close, up to `through`: the ends of the periods in which it
 * runs, its own end, its start where a fee is due in advance, and once more when no event of its last period can still come.
 */
export function closesThrough(
  subscription: BillableSubscription,
  through: Instant,
  acceptBackMs: number,
): Instant[] {
  return [...closes(subscription, null, through, acceptBackMs)].filter((close) => close <= through)
}

/** The first close at or after `at`; null when there is none left. */
export function nextClose(
  subscription: BillableSubscription,
  at: Instant,
  acceptBackMs: number,
): Instant | null {
  for (const close of closes(subscription, at, null, acceptBackMs)) if (close >= at) return close
  return null
}

/** The first close that is wanted; null when there is none. */
export function firstClose(
  subscription: BillableSubscription,
  acceptBackMs: number,
  isWanted: (close: Instant) => boolean,
): Instant | null {
  for (const close of closes(subscription, null, null, acceptBackMs)) if (isWanted(close)) return close
  return null
}

/** @param from what ends before it may be left out */
function* closes(
  subscription: BillableSubscription,
  from: Instant | null,
  through: Instant | null,
  acceptBackMs: number,
): Generator<Instant> {
  let last: Instant | null = null
  for (const period of runningPeriods(subscription, from, through)) {
    const charges = [...chargesOfPeriod(subscription.id, period)]
    if (charges.length === 0) continue
    const opens = charges.some((charge) => charge.dueAt === period.start)
    for (const close of opens ? [period.start, period.end] : [period.end]) {
      if (close !== last) yield close
      last = close
    }
  }
  const supplement = supplementOf(subscription, acceptBackMs)
  if (supplement !== null && (through === null || supplement <= through)) yield supplement
}

/** When the usage of a subscription that has ended is complete: the start of the local day after the accept window. */
function supplementOf({ phases, timezone }: BillableSubscription, acceptBackMs: number): Instant | null {
  const end = phases.at(-1)?.end ?? null
  const isMetered = phases.some(({ plan }) => plan.prices.some((price) => price.meter !== null))
  return end === null || !isMetered ? null : endOfLocalDay(instantOf(end + acceptBackMs), 0, timezone)
}

/** The period in which the subscription runs up to `close`; null when nothing of it ends there. */
export function periodEndingAt(subscription: BillableSubscription, close: Instant): Interval | null {
  return [...runningPeriods(subscription, close, close)].find((period) => period.end === close) ?? null
}

function* runningPeriods(
  subscription: BillableSubscription,
  from: Instant | null,
  through: Instant | null,
): Generator<RunningPeriod> {
  const all = stretches(subscription)
  const arrivals = planArrivals(all)
  for (const { schedule, span, phases } of all) {
    if (from !== null && span.end !== null && span.end < from) continue
    const skipped = from === null || from <= span.start ? 0 : periodAt(schedule, from).index - 1
    for (let index = Math.max(skipped, 0); ; index++) {
      const whole = periodOfIndex(schedule, index)
      const start = whole.start < span.start ? span.start : whole.start
      const end = span.end !== null && span.end < whole.end ? span.end : whole.end
      if ((through !== null && start > through) || (span.end !== null && start >= span.end)) break
      if (start < end) yield { start, end, whole, phases, timezone: schedule.timezone, arrivals }
    }
  }
}

function stretches(subscription: BillableSubscription): Stretch[] {
  const groups: BillablePhase[][] = []
  for (const phase of subscription.phases) {
    const group = groups.at(-1)
    if (group !== undefined && group[0]?.plan.interval === phase.plan.interval) group.push(phase)
    else groups.push([phase])
  }
  return groups.flatMap((phases) => {
    const [first] = phases
    const last = phases.at(-1)
    if (first === undefined || last === undefined) return []
    const { anchorDay, timezone } = subscription
    return [
      {
        schedule: { startsAt: first.start, interval: first.plan.interval, anchorDay, timezone },
        span: { start: first.start, end: last.end },
        phases,
      },
    ]
  })
}

function* chargesOfPeriod(subscription: SubscriptionId, period: RunningPeriod): Generator<Charge> {
  /** Units that earlier spans of the same fee have billed: equal fees share one sum, so that their parts add up to it. */
  const billedUnits = new Map<string, number>()
  for (const phase of period.phases) {
    const start = phase.start > period.start ? phase.start : period.start
    const end = phase.end !== null && phase.end < period.end ? phase.end : period.end
    if (start >= end) continue
    const { plan } = phase
    const keyOf = (price: BillablePrice): string =>
      [subscription, plan.key, plan.version, price.key, formatInstant(start)].join('|')
    const chargeOf = (price: BillablePrice, position: number, fee: string): Charge => {
      const inAdvance = price.payment === 'inAdvance' && price.meter === null
      const share = serviceShare({ start, end }, period.whole, {
        convention: price.terms.proration,
        timezone: period.timezone,
        before: billedUnits.get(fee) ?? 0,
      })
      billedUnits.set(fee, share.before + share.billed)
      return {
        key: keyOf(price),
        subscription,
        plan: plan.key,
        planVersion: plan.version,
        price,
        position,
        service: { start, end },
        share,
        corrections: plan.corrections ?? 'nextInvoice',
        dueAt: inAdvance && start === period.start ? start : period.end,
      }
    }
    const prices = plan.prices.map((price) =>
      priceInPeriod(price, period.arrivals.get(plan.key), period.start),
    )
    for (const [position, price] of prices.entries()) {
      yield chargeOf(price, position, `${price.key} ${textOf(price.terms)}`)
    }
    const total = boundsPrice(plan)
    if (total === null) continue
    const { minimum = null, maximum = null } = plan
    const bounds = { minimum, maximum, charges: prices.map(keyOf) }
    const charge = chargeOf(total, prices.length, `${total.key} ${plan.key} ${textOf({ minimum, maximum })}`)
    yield { ...charge, bounds }
  }
}

/** Text that is equal for equal terms. */
function textOf(terms: object): string {
  return JSON.stringify(terms, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
}
