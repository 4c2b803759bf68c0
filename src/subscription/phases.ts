import type { PlanVersion, VersionPolicy } from '../catalog/plan.ts'
import { type BillingSchedule, periodAt } from '../time/billing-period.ts'
import type { Instant } from '../time/instant.ts'
import type { PriceOverrides } from '../catalog/price-override.ts'
import type { SubscriptionPhase } from './subscription.ts'

/** What is asked of a version here. */
type Version = Pick<PlanVersion, 'key' | 'version' | 'effectiveAt' | 'existingSubscriptions'>

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
  const first = versions.findLast((one) => (one.effectiveAt ?? start) <= start) ?? versions[0]
  if (first === undefined) throw new Error('a plan without a version')
  let phases: readonly SubscriptionPhase[] = [
    { start, plan: first.key, version: first.version, reason, overrides },
  ]
  for (const later of versions) {
    if (later.version <= first.version || later.effectiveAt === null) continue
    const from = versionStart(later.existingSubscriptions, later.effectiveAt, schedule)
    if (from !== null) phases = withVersion(phases, later, from)
  }
  return phases
}

/** When a version that takes effect at `at` reaches a subscription that exists by then; null is never. */
export function versionStart(policy: VersionPolicy, at: Instant, schedule: BillingSchedule): Instant | null {
  switch (policy) {
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

/** The phases with the version in force from `start` on; versions of the plan that were to follow it are dropped. */
export function withVersion(
  phases: readonly SubscriptionPhase[],
  version: Pick<PlanVersion, 'key' | 'version'>,
  start: Instant,
): readonly SubscriptionPhase[] {
  const overrides = phases.findLast((one) => one.start <= start)?.overrides ?? {}
  const phase: SubscriptionPhase = {
    start,
    plan: version.key,
    version: version.version,
    reason: 'planVersion',
    overrides,
  }
  const kept = phases.filter(
    (one) =>
      one.start < start || (one.start > start && !(one.plan === version.key && one.reason === 'planVersion')),
  )
  return [...kept, phase].sort((a, b) => a.start - b.start)
}
