import { fromBigInt } from '../../money/decimal.ts'
import type { Instant } from '../../time/instant.ts'
import { climb, rungName } from '../ladder.ts'
import { acquire } from './acquire.ts'
import { type Account, type AccountName, basePoolId, figuresOfAccount, type Lease } from './account.ts'
import type { Answer, Command, Decided } from './command.ts'
import { basePool, epochOf, inEpoch, rollTo } from './periods.ts'
import { charge, close } from './pools.ts'

export interface Applied {
  readonly account: Account | null
  readonly answer: Answer
  /** Rungs of the ladder that this command reached: each is told once an epoch. */
  readonly reached: readonly string[]
}

/**
 * One command on the books of one account. Pure: the same commands in the same order with the same times give the
 * same books and the same answers, on whichever machine and however often.
 * @param now the log's time of the command, or the holder's where it lives by a test clock
 */
export function apply(name: AccountName, before: Account | null, command: Command, now: Instant): Applied {
  if (before === null) {
    if (command.kind !== 'setTerms') return { account: null, answer: { kind: 'unknownAccount' }, reached: [] }
    return withRungs(null, { account: opened(name, command.terms, now), answer: DONE })
  }
  // Records of several writers may bear times that run back a little; the books do not.
  const rolled = rollTo(before, now > before.now ? now : before.now)
  const { account, answer } = decide(rolled, command)
  const changed = account !== rolled || rolled.epoch !== before.epoch
  return withRungs(before, {
    account: changed ? { ...account, version: before.version + 1 } : account,
    answer,
  })
}

const DONE: Answer = { kind: 'done' }

function decide(account: Account, command: Command): Decided {
  switch (command.kind) {
    case 'setTerms':
      return { account: withTerms(account, command.terms), answer: DONE }
    case 'acquire':
      return acquire(account, command)
    case 'return':
      return closeLease(account, command.leaseId, command.used)
    case 'holderLost':
      return { account: forfeit(account, command.holder, command.incarnation), answer: DONE }
    case 'reconcile':
      return reconcile(account, command.leaseId, command.used)
    case 'grant':
      return grant(account, command)
    case 'charge':
      return { account: chargePast(account, command.source, command.cumulative), answer: DONE }
    case 'tick':
      return { account, answer: DONE }
  }
}

function opened(name: AccountName, terms: Account['terms'], now: Instant): Account {
  const epoch = epochOf(terms, now)
  return {
    name,
    terms,
    now,
    epoch,
    pools: [basePool(terms, epoch)],
    leases: [],
    sessions: {},
    reconciled: {},
    charged: {},
    reachedAt: {},
    leaseNumber: 0,
    lateUnits: 0n,
    unleasedUnits: 0n,
    version: 1,
  }
}

/** Limits change in mid-period: what is out stays out, and what is free follows the new limit at once. */
function withTerms(account: Account, terms: Account['terms']): Account {
  const moved = inEpoch({ ...account, terms }, epochOf(terms, account.now), account.now)
  const base = basePoolId(moved.epoch.label)
  return {
    ...moved,
    pools: moved.pools.map((pool) =>
      pool.id === base ? { ...pool, granted: terms.limit ?? 0n, expiresAt: moved.epoch.resetAt } : pool,
    ),
  }
}

function closeLease(account: Account, leaseId: string, used: bigint): Decided {
  const lease = account.leases.find((one) => one.id === leaseId)
  if (lease === undefined) return { account: bookLate(account, leaseId, used), answer: DONE }
  const fault = faultOf(lease, used)
  if (fault !== null) return { account, answer: fault }
  return { account: withoutLease(account, lease, used), answer: DONE }
}

function reconcile(account: Account, leaseId: string, used: bigint): Decided {
  const lease = account.leases.find((one) => one.id === leaseId)
  if (lease === undefined) return { account, answer: DONE }
  const fault = faultOf(lease, used)
  if (fault !== null) return { account, answer: fault }
  if (lease.state === 'open') {
    const detail = `The lease ${leaseId} is open: only its holder knows what is used of it.`
    return { account, answer: { kind: 'invalid', detail } }
  }
  const closed = withoutLease(account, lease, used)
  return { account: { ...closed, reconciled: { ...closed.reconciled, [leaseId]: used } }, answer: DONE }
}

/** A holder that was taken for dead tells of more than it was reconciled by: booked and counted, never dropped. */
function bookLate(account: Account, leaseId: string, used: bigint): Account {
  const reconciled = account.reconciled[leaseId]
  if (reconciled === undefined || used <= reconciled) return account
  const late = used - reconciled
  return {
    ...account,
    pools: charge(account.pools, late, account.now),
    reconciled: { ...account.reconciled, [leaseId]: used },
    lateUnits: account.lateUnits + late,
  }
}

function withoutLease(account: Account, lease: Lease, used: bigint): Account {
  return {
    ...account,
    pools: close(account.pools, lease.parts, used),
    leases: account.leases.filter((one) => one !== lease),
  }
}

function faultOf(lease: Lease, used: bigint): Answer | null {
  if (used >= 0n && used <= lease.units) return null
  return {
    kind: 'invalid',
    detail: `The lease ${lease.id} has ${lease.units} units; ${used} were not used of it.`,
  }
}

function forfeit(account: Account, holder: string, incarnation: number): Account {
  const isLost = (lease: Lease): boolean =>
    lease.holder === holder && lease.incarnation <= incarnation && lease.state === 'open'
  const session = account.sessions[holder]
  const fenced = session !== undefined && session.incarnation > incarnation
  if (fenced && !account.leases.some(isLost)) return account
  return {
    ...account,
    leases: account.leases.map((lease) => (isLost(lease) ? { ...lease, state: 'forfeited' } : lease)),
    // From now on only a later life of the holder is answered.
    sessions: fenced
      ? account.sessions
      : {
          ...account.sessions,
          [holder]: { incarnation: incarnation + 1, sequence: 0, answer: null, seenIn: '' },
        },
  }
}

function grant(account: Account, command: Extract<Command, { kind: 'grant' }>): Decided {
  const id = `grant ${command.grantId}`
  const told = account.pools.find((pool) => pool.id === id)
  if (told !== undefined) {
    return { account, answer: told.granted === command.units ? DONE : { kind: 'conflict' } }
  }
  if (command.units <= 0n) return { account, answer: { kind: 'invalid', detail: 'A grant gives units.' } }
  const { expiresAt } = command
  const pool = {
    id,
    granted: command.units,
    used: 0n,
    leased: 0n,
    priority: command.priority,
    effectiveAt: command.effectiveAt,
    expiresAt: expiresAt === 'epoch' ? account.epoch.resetAt : expiresAt,
    createdAt: account.now,
  }
  return { account: { ...account, pools: [...account.pools, pool] }, answer: DONE }
}

function chargePast(account: Account, source: string, cumulative: bigint): Account {
  const units = cumulative - (account.charged[source] ?? 0n)
  if (units <= 0n) return account
  return {
    ...account,
    pools: charge(account.pools, units, account.now),
    charged: { ...account.charged, [source]: cumulative },
    unleasedUnits: account.unleasedUnits + units,
  }
}

/** Rungs are climbed by what is settled: what is leased may come back. */
function withRungs(before: Account | null, { account, answer }: Decided): Applied {
  if (account === before) return { account, answer, reached: [] }
  const { limit, settled } = figuresOfAccount(account)
  const { reached } = climb({
    used: fromBigInt(settled),
    limit: limit === null ? null : fromBigInt(limit),
    ladder: account.terms.ladder,
    reachedAt: new Map(Object.entries(account.reachedAt)),
    now: account.now,
  })
  const fresh = reached.map(rungName).filter((name) => account.reachedAt[name] === undefined)
  if (fresh.length === 0) return { account, answer, reached: [] }
  const reachedAt = { ...account.reachedAt, ...Object.fromEntries(fresh.map((name) => [name, account.now])) }
  return { account: { ...account, reachedAt }, answer, reached: fresh }
}
