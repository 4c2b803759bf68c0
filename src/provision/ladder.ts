import { compare, type Decimal, decimal, multiply, toText } from '../money/decimal.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import type { Rung } from './quota.ts'

export type Phase = 'open' | 'grace' | 'throttled' | 'overage' | 'exhausted' | 'suspended' | 'revoked'

export interface LadderInputs {
  readonly used: Decimal
  /** Null: unlimited, no rung is ever reached. */
  readonly limit: Decimal | null
  /** Ordered by `at`. */
  readonly ladder: readonly Rung[]
  /** When each rung that is still reached was reached, by its name; what is missing is reached now. Grace looks at it. */
  readonly reachedAt: ReadonlyMap<string, Instant>
  readonly now: Instant
}

export interface LadderPosition {
  readonly phase: Phase
  /** The rung in force; null while the phase is open. */
  readonly rung: Rung | null
  /** The rungs whose share of the limit is used, notices included. */
  readonly reached: readonly Rung[]
  /** When the phase changes by time alone; null when it does not. */
  readonly graceUntil: Instant | null
}

/** `0.8 notify`: the name of a rung in an epoch. Unlike its index it outlives a change of other rungs. */
export function rungName(rung: Rung): string {
  return `${toText(decimal(rung.at))} ${rung.action}`
}

/**
 * Where a holder stands, as a pure function of usage, limit, ladder and clock: it has no memory of phases, so a
 * top-up, a raised limit, a correction downwards or a new period need no code of their own.
 */
export function climb({ used, limit, ladder, reachedAt, now }: LadderInputs): LadderPosition {
  const isReached = (rung: Rung): boolean =>
    limit !== null && compare(used, multiply(limit, decimal(rung.at))) >= 0
  const reached = ladder.filter(isReached)
  const inForce = ladder.reduce<InForce | null>((before, rung) => {
    if (rung.action === 'notify') return before
    const graceUntil = before?.graceUntil ?? null
    const graceOver = graceUntil !== null && now >= graceUntil
    const shielded = before !== null && graceUntil !== null && !graceOver && sameShare(before.rung, rung)
    if (shielded || !(graceOver || isReached(rung))) return before
    const from = graceOver ? graceUntil : (reachedAt.get(rungName(rung)) ?? now)
    return { rung, graceUntil: graceEnd(rung, from) }
  }, null)
  if (inForce === null) return { phase: 'open', rung: null, reached, graceUntil: null }
  const { rung, graceUntil } = inForce
  if (graceUntil !== null && now >= graceUntil) {
    // Grace ran out and no rung follows: what was used beyond the limit is not on offer.
    return { phase: 'exhausted', rung, reached, graceUntil: null }
  }
  return { phase: phaseOf(rung), rung, reached, graceUntil }
}

interface InForce {
  readonly rung: Rung
  readonly graceUntil: Instant | null
}

function graceEnd(rung: Rung, from: Instant): Instant | null {
  return rung.action === 'grace' ? instantOf(from + Math.round(rung.graceSeconds * 1000)) : null
}

function sameShare(a: Rung, b: Rung): boolean {
  return compare(decimal(a.at), decimal(b.at)) === 0
}

function phaseOf(rung: Rung): Phase {
  switch (rung.action) {
    case 'notify':
      return 'open'
    case 'grace':
      return 'grace'
    case 'throttle':
      return 'throttled'
    case 'overage':
      return 'overage'
    case 'block':
      return 'exhausted'
    case 'suspend':
      return 'suspended'
    case 'revoke':
      return 'revoked'
  }
}
