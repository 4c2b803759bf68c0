import { type Account, type AcquireAnswer, figuresOfAccount, type Lease } from './account.ts'
import type { Command, Decided } from './command.ts'
import { carve } from './pools.ts'

type Acquire = Extract<Command, { kind: 'acquire' }>

/**
 * A lease for a holder: what it wants, but no more than a share of what is free, so that the last units do not lie
 * idle with one of many holders. S + O ≤ L holds after every one of them, for no lease is larger than L − S − O.
 */
export function acquire(account: Account, command: Acquire): Decided {
  const { holder, incarnation, sequence, want, minUseful } = command
  if (want < 1n || minUseful < 1n) {
    return { account, answer: { kind: 'invalid', detail: 'An acquire asks for at least one unit.' } }
  }
  const session = account.sessions[holder]
  if (session !== undefined) {
    const age = incarnation - session.incarnation || sequence - session.sequence
    if (age < 0) return { account, answer: { kind: 'stale' } }
    if (age === 0) return { account, answer: session.answer ?? { kind: 'stale' } }
  }
  const seen = { ...account, sessions: { ...account.sessions, [holder]: sessionOf(account, command) } }
  const { free } = figuresOfAccount(seen)
  const units = free === null ? largest(want, minUseful) : sizeOf(free, holdersOf(seen), want, minUseful)
  const decided = units > 0n ? granted(seen, command, units) : denied(seen, command, free ?? 0n)
  const answered = { ...sessionOf(account, command), answer: decided.answer }
  return {
    account: { ...decided.account, sessions: { ...decided.account.sessions, [holder]: answered } },
    answer: decided.answer,
  }
}

function sessionOf(account: Account, { incarnation, sequence }: Acquire): Account['sessions'][string] {
  return { incarnation, sequence, answer: null, seenIn: account.epoch.label }
}

function holdersOf(account: Account): bigint {
  return BigInt(
    Object.values(account.sessions).filter((session) => session.seenIn === account.epoch.label).length,
  )
}

/** `min(want, max(1, free / 2H), free)`, and the request that waits gets what it needs where there is that much. */
function sizeOf(free: bigint, holders: bigint, want: bigint, minUseful: bigint): bigint {
  if (free < minUseful) return 0n
  const share = largest(1n, free / (2n * holders))
  return smallest(free, largest(smallest(want, share), minUseful))
}

interface AcquireDecided {
  readonly account: Account
  readonly answer: AcquireAnswer
}

function granted(
  account: Account,
  { holder, incarnation, sequence }: Acquire,
  units: bigint,
): AcquireDecided {
  const { pools, parts } = carve(account.pools, units, account.now)
  const lease: Lease = {
    id: String(account.leaseNumber + 1),
    holder,
    incarnation,
    units,
    parts,
    state: 'open',
    recalled: false,
    epoch: account.epoch.interval,
  }
  return {
    account: {
      ...account,
      pools,
      leases: [...account.leases, lease],
      leaseNumber: account.leaseNumber + 1,
    },
    answer: { kind: 'granted', lease, sequence },
  }
}

/** Nothing to give: who holds more than it needs is asked for it. */
function denied(account: Account, { holder, sequence, minUseful }: Acquire, free: bigint): AcquireDecided {
  const isAsked = (lease: Lease): boolean => lease.state === 'open' && lease.holder !== holder
  const { limit, settled, forfeited } = figuresOfAccount(account)
  const recall = [...new Set(account.leases.filter(isAsked).map((lease) => lease.holder))]
  return {
    account: {
      ...account,
      leases: account.leases.map((lease) =>
        isAsked(lease) && !lease.recalled ? { ...lease, recalled: true } : lease,
      ),
    },
    answer: {
      kind: 'denied',
      sequence,
      final: limit !== null && limit - settled - forfeited < minUseful,
      free,
      resetAt: account.epoch.resetAt,
      recall,
    },
  }
}

function smallest(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

function largest(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
