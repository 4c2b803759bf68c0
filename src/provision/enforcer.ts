import { type Instant } from '../time/instant.ts'
import { createLeaseClient, type LeaseClient } from './lease-client.ts'
import { type AccountName, accountIndex, figuresOfAccount } from './ledger/account.ts'
import type { QuotaAuthority } from './ledger/authority.ts'
import type { Held } from './wallet.ts'

export interface Cost {
  readonly account: AccountName
  readonly units: bigint
}

/** Units that a request holds until it is known what it used. */
export interface Reserved {
  /** Ends it: units used of each cost, by quota key; more than was reserved is charged too. Once; later calls change nothing. */
  settle(used?: ReadonlyMap<string, bigint>): void
  /** Ends it with nothing used. */
  release(): void
  readonly costs: readonly Cost[]
}

export type Admission =
  | { readonly kind: 'admitted'; readonly reserved: Reserved }
  | { readonly kind: 'refused'; readonly why: 'exhausted' | 'inFlight' | 'unavailable'; readonly cost: Cost }

export interface Enforcer {
  /** Takes all costs or none. Where leases are at hand this is decided at once, without asking anybody. */
  admit(costs: readonly Cost[]): Promise<Admission>
  /** The authority asks for what is not needed here. */
  recall(name: AccountName): void
  /** Gives back what is over; called every second or so. */
  housekeep(): Promise<void>
  /** Seals and gives back everything. What could not be given back stays charged. */
  stop(): Promise<void>
  /** Units in the hands of this enforcer, for gauges. */
  figures(): { readonly available: bigint; readonly held: bigint; readonly debt: bigint }
}

export interface EnforcerDeps {
  readonly authority: Pick<QuotaAuthority, 'submit' | 'account'>
  /** Names this enforcer among those of all processes, over its lives. */
  readonly holder: string
  /** Grows with every life of it. */
  readonly incarnation: number
  /** The present of an account's holder, and whether it is a test clock's, which the ledger must be told of. */
  readonly now: (name: AccountName) => { readonly at: Instant; readonly isTestClock: boolean }
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicMs: () => number
  readonly ttlMs?: number
  /** How long a request waits for leases before it is refused. */
  readonly waitMs?: number
  /** Of an account whose policy is debt: units that may be admitted while nobody can be asked. */
  readonly debtUnitsMax?: bigint
  /** Told of every failure to ask; the request is refused, or let in by its quota's policy. */
  readonly onFault?: (error: unknown) => void
}

const TTL_MS = 30_000
const WAIT_MS = 250
const RETRY_MS = 20
const DEBT_UNITS_MAX = 100n
/** A final denial stands for so long, or until the books change. */
const DENIAL_HOLD_MS = 1_000

interface Local {
  readonly name: AccountName
  readonly client: LeaseClient
  /** The question under way. */
  asking: Promise<void> | null
  /** When and on which version of the books units were refused for good. */
  refused: { readonly atMs: number; readonly version: number; readonly units: bigint } | null
  faulty: boolean
  /** Units admitted without a lease, on the word of a policy or beyond what was reserved; cumulative. */
  owed: bigint
  /** How much of it the ledger knows. */
  charged: bigint
}

/** The hand of the gate that counts: leases in memory, a single thread, and nothing between the look and the take. */
export function createEnforcer(deps: EnforcerDeps): Enforcer {
  const { authority, holder, incarnation, monotonicMs, ttlMs = TTL_MS, waitMs = WAIT_MS } = deps
  const { debtUnitsMax = DEBT_UNITS_MAX, onFault = () => undefined } = deps
  const locals = new Map<string, Local>()
  let stopped = false

  const localOf = (name: AccountName): Local => {
    const index = accountIndex(name)
    let local = locals.get(index)
    if (local === undefined) {
      const client = createLeaseClient({ holder, incarnation, ttlMs })
      local = { name, client, asking: null, refused: null, faulty: false, owed: 0n, charged: 0n }
      locals.set(index, local)
    }
    return local
  }
  const clockOf = (name: AccountName): Instant | null => {
    const { at, isTestClock } = deps.now(name)
    return isTestClock ? at : null
  }
  const available = (local: Local): bigint =>
    local.client.wallet.available(deps.now(local.name).at, monotonicMs())

  /** Asks for a lease; who comes while the question is under way waits for the same answer. */
  const ask = (local: Local, minUseful: bigint): Promise<void> => {
    local.asking ??= askOnce(local, minUseful).finally(() => {
      local.asking = null
    })
    return local.asking
  }
  const askOnce = async (local: Local, minUseful: bigint): Promise<void> => {
    const { client, name } = local
    // What is drained goes back ahead of the question, so that the books know of it when they answer.
    client.wallet.seal(deps.now(name).at, monotonicMs(), false)
    giveBack(local).catch(onFault)
    const command = client.ask(minUseful, monotonicMs())
    try {
      const outcome = client.receive(command, await authority.submit(name, command, clockOf(name)))
      local.faulty = false
      const denial = client.denial()
      local.refused =
        outcome === 'denied' && denial?.final === true
          ? { atMs: monotonicMs(), version: versionOf(name), units: command.minUseful }
          : null
    } catch (error) {
      local.faulty = true
      onFault(error)
    }
  }
  const versionOf = (name: AccountName): number => authority.account(name)?.version ?? 0

  /** Tells the ledger what was admitted without a lease. */
  const payDebt = async (local: Local): Promise<void> => {
    const { name, owed } = local
    if (owed === local.charged) return
    await authority.submit(
      name,
      { kind: 'charge', source: `${holder}#${incarnation}`, cumulative: owed },
      clockOf(name),
    )
    local.charged = owed
  }

  const isLacking = ({ account, units }: Cost): boolean => available(localOf(account)) < units

  /** What there is to say to a request that lacks units; null while waiting can help. */
  const verdictOn = (
    costs: readonly Cost[],
    lacking: readonly Cost[],
    waitedMs: number,
    hasAsked: boolean,
  ): Admission | null => {
    const [first] = lacking
    if (first === undefined) return null
    if (stopped) return refuse('unavailable', first)
    const hopeless = lacking.find(isRefusedForGood)
    if (hopeless !== undefined) return refuse('exhausted', hopeless)
    // A ledger that does not answer is asked once by a request, not again and again while it waits.
    const faulty = lacking.some(({ account }) => localOf(account).faulty && localOf(account).asking === null)
    if (faulty && hasAsked) return byPolicy(costs, lacking, first)
    if (waitedMs < waitMs) return null
    const denied = lacking.find(({ account }) => localOf(account).client.denial() !== null)
    return denied === undefined ? byPolicy(costs, lacking, first) : refuse('inFlight', denied)
  }

  const isRefusedForGood = ({ account: name, units }: Cost): boolean => {
    const local = localOf(name)
    const account = authority.account(name)
    if (account !== null && isCurrent(account.epoch, local)) {
      const { limit, settled, forfeited } = figuresOfAccount(account)
      // More than the whole rest of the period: no lease of anybody can come back to make room for it.
      if (limit !== null && limit - settled - forfeited < units && available(local) < units) return true
    }
    const { refused } = local
    return (
      refused !== null &&
      refused.units <= units &&
      monotonicMs() - refused.atMs < DENIAL_HOLD_MS &&
      refused.version === versionOf(local.name)
    )
  }
  const isCurrent = (epoch: { readonly resetAt: Instant | null }, local: Local): boolean =>
    epoch.resetAt === null || deps.now(local.name).at < epoch.resetAt

  const takeAll = (costs: readonly Cost[]): Reserved | null => {
    // One reading of each clock for the look and the take: a period must not turn between the two.
    const nowMs = monotonicMs()
    const wanted = costs.map(({ account, units }) => ({
      local: localOf(account),
      units,
      at: deps.now(account).at,
    }))
    if (wanted.some(({ local, units, at }) => local.client.wallet.available(at, nowMs) < units)) return null
    const taken = wanted.map(({ local, units, at }) => {
      const held = local.client.take(units, at, nowMs)
      if (held === null) throw new Error('units went between the look and the take')
      if (local.client.isLow(at, nowMs)) void ask(local, 1n)
      return { local, held, units }
    })
    return reservedOf(costs, taken)
  }

  const reservedOf = (
    costs: readonly Cost[],
    taken: readonly { readonly local: Local; readonly held: readonly Held[]; readonly units: bigint }[],
  ): Reserved => {
    let ended = false
    const end = (usedOf: (local: Local, units: bigint) => bigint): void => {
      if (ended) return
      ended = true
      for (const { local, held, units } of taken) {
        const used = usedOf(local, units)
        local.client.wallet.settle(held, used < units ? used : units)
        if (used > units) chargeMore(local, used - units)
      }
    }
    return {
      costs,
      settle: (used) => end((local, units) => used?.get(local.name.quotaKey) ?? units),
      release: () => end(() => 0n),
    }
  }

  /** More was used than was reserved: it happened, so it is charged, from what is at hand or past it. */
  const chargeMore = (local: Local, units: bigint): void => {
    const taken = local.client.take(units, deps.now(local.name).at, monotonicMs())
    if (taken === null) local.owed += units
    else local.client.wallet.settle(taken, units)
  }

  const refuse = (why: Extract<Admission, { kind: 'refused' }>['why'], cost: Cost): Admission => ({
    kind: 'refused',
    why,
    cost,
  })

  /** Nobody can be asked: the policies of all quotas that lack units must let the request in. */
  const byPolicy = (costs: readonly Cost[], lacking: readonly Cost[], first: Cost): Admission => {
    for (const cost of lacking) {
      const local = localOf(cost.account)
      const policy = authority.account(cost.account)?.terms.onUnavailable ?? 'closed'
      const fits =
        policy === 'open' || (policy === 'debt' && local.owed - local.charged + cost.units <= debtUnitsMax)
      if (!fits) return refuse('unavailable', cost)
    }
    const covered = costs.filter((cost) => !lacking.includes(cost))
    const reserved = takeAll(covered)
    if (reserved === null) return refuse('unavailable', first)
    for (const { account, units } of lacking) localOf(account).owed += units
    return { kind: 'admitted', reserved }
  }

  const giveBack = async (local: Local): Promise<void> => {
    const { client, name } = local
    await Promise.all(
      client.returns().map(async ({ leaseId, used }) => {
        const answer = await authority.submit(name, { kind: 'return', leaseId, used }, clockOf(name))
        if (answer.kind === 'invalid') throw new Error(answer.detail)
        client.wallet.confirm(leaseId)
      }),
    )
  }

  return {
    async admit(costs) {
      const startedMs = monotonicMs()
      for (let hasAsked = false; ; hasAsked = true) {
        const reserved = takeAll(costs)
        if (reserved !== null) return { kind: 'admitted', reserved }
        const lacking = costs.filter(isLacking)
        const verdict = verdictOn(costs, lacking, monotonicMs() - startedMs, hasAsked)
        if (verdict !== null) return verdict
        const leftMs = Math.max(0, startedMs + waitMs - monotonicMs())
        const asking = lacking.map(({ account, units }) => {
          const local = localOf(account)
          return ask(local, units - available(local))
        })
        await Promise.race([Promise.all(asking), pause(leftMs)])
        // Denied because others hold the rest: what is recalled from them comes back in a moment.
        const isWaiting = lacking.some(
          (cost) =>
            isLacking(cost) && localOf(cost.account).client.denial() !== null && !isRefusedForGood(cost),
        )
        if (isWaiting) await pause(Math.min(RETRY_MS, Math.max(0, startedMs + waitMs - monotonicMs())))
      }
    },

    recall(name) {
      const local = locals.get(accountIndex(name))
      if (local === undefined) return
      local.client.wallet.sealForRecall()
      giveBack(local).catch(onFault)
    },

    async housekeep() {
      for (const local of locals.values()) {
        local.client.wallet.seal(deps.now(local.name).at, monotonicMs(), false)
        await giveBack(local).catch(onFault)
        await payDebt(local).catch(onFault)
      }
    },

    async stop() {
      stopped = true
      for (const local of locals.values()) {
        await local.asking
        local.client.wallet.seal(deps.now(local.name).at, monotonicMs(), true)
        await giveBack(local).catch(onFault)
        await payDebt(local).catch(onFault)
      }
    },

    figures() {
      let [sum, held, debt] = [0n, 0n, 0n]
      for (const local of locals.values()) {
        sum += available(local)
        held += local.client.wallet.held()
        debt += local.owed - local.charged
      }
      return { available: sum, held, debt }
    },
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
