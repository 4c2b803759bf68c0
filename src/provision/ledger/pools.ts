import type { Instant } from '../../time/instant.ts'
import { isAvailable, type Part, type Pool } from './account.ts'

/** The order in which units are burned: priority, then what expires first, then what was there first. */
function inBurnOrder(pools: readonly Pool[]): readonly Pool[] {
  return pools.toSorted(
    (a, b) =>
      a.priority - b.priority ||
      (a.expiresAt ?? Infinity) - (b.expiresAt ?? Infinity) ||
      a.createdAt - b.createdAt ||
      (a.id < b.id ? -1 : 1),
  )
}

/** Takes `units` for a lease. What no pool has (an unlimited quota) is charged to the first. */
export function carve(
  pools: readonly Pool[],
  units: bigint,
  now: Instant,
): { readonly pools: readonly Pool[]; readonly parts: readonly Part[] } {
  const parts: Part[] = []
  let missing = units
  for (const pool of inBurnOrder(pools)) {
    if (missing === 0n) break
    const free = isAvailable(pool, now) ? pool.granted - pool.used - pool.leased : 0n
    const taken = free < missing ? free : missing
    if (taken <= 0n) continue
    parts.push({ pool: pool.id, units: taken })
    missing -= taken
  }
  const [base] = pools
  if (missing > 0n && base !== undefined) parts.push({ pool: base.id, units: missing })
  return { pools: addToPools(pools, parts, { leased: 1n, used: 0n }), parts }
}

/**
 * Closes the parts of a lease of which `used` was used, in the order in which they were carved. Parts of pools that
 * are gone belong to a period that is over, and change nothing any more.
 */
export function close(pools: readonly Pool[], parts: readonly Part[], used: bigint): readonly Pool[] {
  const consumed: Part[] = []
  let left = used
  for (const part of parts) {
    const units = left < part.units ? left : part.units
    left -= units
    consumed.push({ pool: part.pool, units })
  }
  const released = addToPools(pools, parts, { leased: -1n, used: 0n })
  return addToPools(released, consumed, { leased: 0n, used: 1n })
}

/** Charges units that were admitted without a lease, where units are left first, and to the first pool beyond that. */
export function charge(pools: readonly Pool[], units: bigint, now: Instant): readonly Pool[] {
  const carved = carve(pools, units, now)
  return close(carved.pools, carved.parts, units)
}

function addToPools(
  pools: readonly Pool[],
  parts: readonly Part[],
  factor: { readonly leased: bigint; readonly used: bigint },
): readonly Pool[] {
  return pools.map((pool) => {
    const units = parts.reduce((sum, part) => (part.pool === pool.id ? sum + part.units : sum), 0n)
    if (units === 0n) return pool
    return { ...pool, leased: pool.leased + factor.leased * units, used: pool.used + factor.used * units }
  })
}
