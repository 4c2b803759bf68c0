import { add, type Decimal, isZero, maximum, minimum, subtract, ZERO } from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'

/** An allotment of units that usage burns. In force in `[effectiveAt, expiresAt)`, and until it is voided. */
export interface Grant {
  readonly id: string
  readonly amount: Decimal
  readonly effectiveAt: Instant
  /** The lower number burns first. */
  readonly priority: number
  readonly expiresAt: Instant | null
  readonly voidedAt: Instant | null
  /** Refills the grant to its amount at the anchor and every so many milliseconds after it. */
  readonly recurrence: { readonly anchor: Instant; readonly intervalMs: number } | null
  /** What of the balance a reset keeps: at least the minimum, at most the maximum. */
  readonly rollover: { readonly min: Decimal; readonly max: Decimal }
}

interface GrantUsage {
  readonly at: Instant
  readonly amount: Decimal
}

export interface BurnDown {
  readonly grants: readonly Grant[]
  /** Balances of the grants that are in force at `from`; others start with their amount when they come into force. */
  readonly balances: ReadonlyMap<string, Decimal>
  readonly overage: Decimal
  readonly from: Instant
  readonly until: Instant
  readonly usage: readonly GrantUsage[]
  readonly resets: readonly { readonly at: Instant; readonly keepsOverage: boolean }[]
}

export interface BurntDown {
  /** Balance of every grant; 0 for those not in force. */
  readonly balances: ReadonlyMap<string, Decimal>
  /** Usage that no grant has covered yet; the next grant or refill pays it first. */
  readonly overage: Decimal
}

/** What happens at an instant, in the order in which it happens there. */
const STEPS = ['end', 'begin', 'refill', 'reset', 'use'] as const
interface Step {
  readonly at: Instant
  readonly kind: (typeof STEPS)[number]
  readonly grant: Grant | null
  readonly amount: Decimal
  readonly keepsOverage: boolean
}

/**
 * Burns usage from grants over `[from, until)`: by priority, then by the earlier end, then in their order. Usage beyond all
 * balances is overage, never lost. An end exactly at `until` is not reached; a refill there is.
 */
export function burnGrants(run: BurnDown): BurntDown {
  const order = [...run.grants].sort(
    (a, b) => a.priority - b.priority || endOf(a) - endOf(b) || run.grants.indexOf(a) - run.grants.indexOf(b),
  )
  const balances = new Map<string, Decimal>()
  for (const grant of order) {
    if (isInForce(grant, run.from)) balances.set(grant.id, run.balances.get(grant.id) ?? grant.amount)
  }
  let overage = run.overage
  const burn = (amount: Decimal): void => {
    let left = amount
    for (const grant of order) {
      const balance = balances.get(grant.id)
      if (balance === undefined || isZero(left)) continue
      const taken = minimum(balance, left)
      balances.set(grant.id, subtract(balance, taken))
      left = subtract(left, taken)
    }
    overage = left
  }
  burn(overage)
  for (const step of stepsOf(run)) {
    const { grant } = step
    switch (step.kind) {
      case 'end':
        if (grant !== null) balances.delete(grant.id)
        break
      case 'begin':
      case 'refill':
        if (grant !== null && isInForce(grant, step.at)) balances.set(grant.id, grant.amount)
        burn(overage)
        break
      case 'reset':
        for (const kept of order) {
          const balance = balances.get(kept.id)
          if (balance === undefined) continue
          balances.set(kept.id, minimum(kept.rollover.max, maximum(kept.rollover.min, balance)))
        }
        burn(step.keepsOverage ? overage : ZERO)
        break
      case 'use':
        burn(add(overage, step.amount))
        break
    }
  }
  return { balances: new Map(run.grants.map(({ id }) => [id, balances.get(id) ?? ZERO])), overage }
}

function endOf({ expiresAt, voidedAt }: Grant): number {
  return Math.min(expiresAt ?? Infinity, voidedAt ?? Infinity)
}

function isInForce(grant: Grant, at: Instant): boolean {
  return grant.effectiveAt <= at && at < endOf(grant)
}

function stepsOf(run: BurnDown): Step[] {
  const { from, until } = run
  const steps: Step[] = []
  const step = (kind: Step['kind'], at: number, more: Partial<Step> = {}): void => {
    steps.push({ kind, at: at as Instant, grant: null, amount: ZERO, keepsOverage: false, ...more })
  }
  for (const grant of run.grants) {
    const end = endOf(grant)
    if (end > from && end < until) step('end', end, { grant })
    if (grant.effectiveAt > from && grant.effectiveAt <= until) step('begin', grant.effectiveAt, { grant })
    const { recurrence } = grant
    if (recurrence === null) continue
    const { anchor, intervalMs } = recurrence
    const first = Math.max(from, grant.effectiveAt)
    const skipped = Math.floor((first - anchor) / intervalMs) + 1
    for (let at = anchor + skipped * intervalMs; at <= until && at < end; at += intervalMs) {
      step('refill', at, { grant })
    }
  }
  for (const { at, keepsOverage } of run.resets) {
    if (at > from && at <= until) step('reset', at, { keepsOverage })
  }
  for (const { at, amount } of run.usage) {
    if (at >= from && at < until) step('use', at, { amount })
  }
  return steps.sort((a, b) => a.at - b.at || STEPS.indexOf(a.kind) - STEPS.indexOf(b.kind))
}
