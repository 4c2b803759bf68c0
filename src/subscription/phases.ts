import type { PlanVersion } from '../catalog/plan.ts'
import { type PriceOverrides, sameOverrides } from '../catalog/price-override.ts'
import { type BillingSchedule, periodAt } from '../time/billing-period.ts'
import type { Instant } from '../time/instant.ts'
import type { SubscriptionPhase } from './subscription.ts'

/** What is asked of a version here. */
type Version = Pick<
  PlanVersion,
  'key' | 'version' | 'currency' | 'interval' | 'effectiveAt' | 'existingSubscriptions'
>

/**
 * The phases of a subscription that begins with a plan at `start`: the newest version in force then; a version
 * announced for later follows if it takes existing subscriptions along. Of two versions that are in force
 * the newer one counts, so a version that was overtaken before it took effect never does.
 * @param versions of one plan, oldest first, never empty
 */
export function phasesFrom(
  start: Instant,
  versions: readonly Version[],
  schedule: BillingSchedule,
  reason: 'created' | 'change',
  overrides: PriceOverrides,
): readonly SubscriptionPhase[] {
  const first = versionAt(versions, start)
  let phases: readonly SubscriptionPhase[] = [
    { start, plan: first.key, version: first.version, reason, overrides },
  ]
  for (const later of versions) {
    if (later.version <= first.version || later.effectiveAt === null || !goesWith(later, first)) continue
    const from = versionStart(later, later.effectiveAt, schedule)
    if (from !== null) phases = withVersion(phases, later, from)
  }
  return phases
}

/** The version with which a plan begins at an instant. @param versions of one plan, oldest first, never empty */
export function versionAt<V extends Pick<PlanVersion, 'effectiveAt'>>(
  versions: readonly V[],
  start: Instant,
): V {
  const found =
    versions.findLast((one) => one.effectiveAt === null || one.effectiveAt <= start) ?? versions[0]
  if (found === undefined) throw new Error('a plan without a version')
  return found
}

/**
 * Whether a subscription can go from one version of a plan to the other. Currency and interval can change only while
 * nobody has subscribed, so two versions of one plan may differ in them; no subscription then has both.
 */
export function goesWith(
  a: Pick<PlanVersion, 'currency' | 'interval'>,
  b: Pick<PlanVersion, 'currency' | 'interval'>,
): boolean {
  return a.currency === b.currency && a.interval === b.interval
}

/** When a version that takes effect at `at` reaches a subscription that exists by then; null is never. */
export function versionStart(
  { existingSubscriptions }: Pick<PlanVersion, 'existingSubscriptions'>,
  at: Instant,
  schedule: BillingSchedule,
): Instant | null {
  switch (existingSubscriptions) {
    case 'grandfather':
      return null
    case 'immediate':
      return at
    case 'nextRenewal': {
      const period = periodAt(schedule, at)
      return period.start === at ? at : period.end
    }
  }
}

/**
 * The phases with the version in force from `start` on, wherever its plan is: what began with the plan before goes
 * on under it, what will begin later begins under it, and versions of the plan that were to follow are dropped.
 */
export function withVersion(
  phases: readonly SubscriptionPhase[],
  version: Pick<PlanVersion, 'key' | 'version'>,
  start: Instant,
): readonly SubscriptionPhase[] {
  const result: SubscriptionPhase[] = []
  for (const [i, phase] of phases.entries()) {
    const end = phases[i + 1]?.start ?? null
    if (phase.plan !== version.key || (end !== null && end <= start)) result.push(phase)
    else if (phase.start >= start) result.push({ ...phase, version: version.version })
    else {
      const under: SubscriptionPhase = {
        ...phase,
        start,
        version: version.version,
        reason: 'planVersion',
      }
      result.push(phase, under)
    }
  }
  return withoutRepeats(result)
}

/** The phases with others in force from the first of those on: whatever was to come after it is superseded. */
export function withChange(
  phases: readonly SubscriptionPhase[],
  change: readonly SubscriptionPhase[],
): readonly SubscriptionPhase[] {
  const start = change[0]?.start
  if (start === undefined) return phases
  return withoutRepeats([...phases.filter((phase) => phase.start < start), ...change])
}

/** Whether both say the same of every instant. */
export function samePhases(a: readonly SubscriptionPhase[], b: readonly SubscriptionPhase[]): boolean {
  return (
    a.length === b.length &&
    a.every((phase, i) => {
      const other = b[i]
      return other?.start === phase.start && saysTheSame(phase, other)
    })
  )
}

/** A phase that says what the one before says does not begin anything. */
function withoutRepeats(phases: readonly SubscriptionPhase[]): readonly SubscriptionPhase[] {
  return phases.filter((phase, i) => {
    const before = phases[i - 1]
    return before === undefined || !saysTheSame(before, phase)
  })
}

function saysTheSame(a: SubscriptionPhase, b: SubscriptionPhase): boolean {
  return a.plan === b.plan && a.version === b.version && sameOverrides(a.overrides, b.overrides)
}
