import { contains, type Instant, instantOf } from '../../time/instant.ts'
import { type Epoch, epochAt } from '../quota.ts'
import { type Account, basePoolId, type Pool, type Terms } from './account.ts'

/** The epoch that terms put an instant into. A billing period without a successor goes on: no reset is invented. */
export function epochOf(terms: Terms, now: Instant): Epoch {
  const { period, timezone, billingPeriod } = terms
  const epoch = epochAt(period, now, timezone, billingPeriod)
  const over = period === 'billingPeriod' && billingPeriod !== null && now >= billingPeriod.end
  return over ? { ...epoch, interval: { start: epoch.interval.start, end: FAR_END }, resetAt: null } : epoch
}

const FAR_END = instantOf(Date.UTC(9999, 0))
/** A grant is remembered for so long after its end, to recognise its id when it is told again. */
const GRANT_MEMORY_MS = 35 * 86_400_000

/** The account at `now`: into the next period where one began. Leases of the last one stay until they are closed. */
export function rollTo(account: Account, now: Instant): Account {
  // Calendars are slow; nearly every command comes in the period of the one before.
  if (contains(account.epoch.interval, now)) return { ...account, now }
  return inEpoch(account, epochOf(account.terms, now), now)
}

/** The account in an epoch of its terms, which may be new. */
export function inEpoch(account: Account, epoch: Epoch, now: Instant): Account {
  const moved = { ...account, now }
  if (epoch.label === account.epoch.label) {
    return epoch.resetAt === account.epoch.resetAt ? moved : { ...moved, epoch }
  }
  const grants = account.pools.filter(
    (pool) =>
      pool.id !== basePoolId(account.epoch.label) &&
      (pool.leased > 0n || pool.expiresAt === null || now < pool.expiresAt + GRANT_MEMORY_MS),
  )
  return {
    ...moved,
    epoch,
    pools: [basePool(account.terms, epoch), ...grants, ...rollover(account, epoch)],
    reconciled: {},
    reachedAt: {},
  }
}

/** The limit of a period as a pool: it burns like a grant that ends with the period. */
export function basePool(terms: Terms, epoch: Epoch): Pool {
  return {
    id: basePoolId(epoch.label),
    granted: terms.limit ?? 0n,
    used: 0n,
    leased: 0n,
    priority: 0,
    effectiveAt: epoch.interval.start,
    expiresAt: epoch.resetAt,
    createdAt: epoch.interval.start,
  }
}

/** `min(max, max(min, remaining))` of the limit that was not used; units in leases that are out do not move. */
function rollover(account: Account, next: Epoch): readonly Pool[] {
  const { terms, epoch, pools } = account
  const base = pools.find((pool) => pool.id === basePoolId(epoch.label))
  if (terms.rollover === null || terms.limit === null || base === undefined) return []
  const { min, max } = terms.rollover
  const remaining = base.granted - base.used - base.leased
  const atLeast = remaining > min ? remaining : min
  const units = atLeast < max ? atLeast : max
  if (units <= 0n) return []
  return [{ ...basePool(terms, next), id: `rollover ${epoch.label}`, granted: units }]
}
