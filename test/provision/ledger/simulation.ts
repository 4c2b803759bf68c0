import assert from 'node:assert/strict'
import type { QuotaKey } from '../../../src/id/ids.ts'
import { createLeaseClient, type LeaseClient } from '../../../src/provision/lease-client.ts'
import {
  type Account,
  type AccountName,
  figuresOfAccount,
  type Terms,
} from '../../../src/provision/ledger/account.ts'
import {
  type Answer,
  type Command,
  type CommandRecord,
  decodeRecord,
  encodeRecord,
} from '../../../src/provision/ledger/command.ts'
import { createLedger, type Ledger } from '../../../src/provision/ledger/ledger.ts'
import type { Held } from '../../../src/provision/wallet.ts'
import { type Instant, instantOf } from '../../../src/time/instant.ts'
import { applyWithout, brokenBooksOf, type Protection } from './broken-books.ts'
import { createQueue, prng } from './event-queue.ts'
import { ACME, TENANT } from '../../support/gate.ts'

export interface SimulationResult {
  /** Admitted beyond the limit of some period; 0 is the claim. */
  readonly overshoot: bigint
  /** Of all periods that were over or used up. */
  readonly admitted: bigint
  readonly limit: bigint
  readonly refused: number
  readonly faults: number
}

const START = Date.UTC(2026, 0, 1, 0, 59, 48)
const DURATION_MS = 24_000 // over the turn of an hour
/** Used up after some two thirds of each half, so that most faults meet leases that are alive. */
const LIMIT = 800n
const HOLDERS = 4
const TTL_MS = 6_000
const NAME: AccountName = {
  tenant: TENANT,
  quotaKey: 'calls' as QuotaKey,
  holder: { kind: 'customer', id: ACME },
}
const TERMS: Terms = {
  limit: LIMIT,
  unit: 'calls',
  period: 'hour',
  timezone: 'UTC',
  billingPeriod: null,
  ladder: [],
  rollover: null,
  onUnavailable: 'closed',
}

interface Holder {
  readonly name: string
  incarnation: number
  client: LeaseClient
  /** Its wall clock is this much off. */
  skewMs: number
  isUp: boolean
  pausedUntil: number
  cutUntil: number
  /** What its dead lives had used of each lease: the spool that survives them. */
  spool: Map<string, { incarnation: number; used: bigint }>
}

/**
 * One account, four enforcers, two authorities on one log, a bad network, bad clocks and bad luck; all from a seed.
 * Books and leases are the production code; what is simulated is time, delivery and death.
 */
export function simulate(seed: number, without: Protection | null = null): SimulationResult {
  const random = prng(seed)
  const chance = (share: number): boolean => random() < share
  const between = (low: number, high: number): number => low + random() * (high - low)
  const has = (protection: Protection): boolean => without !== protection

  let nowMs = START
  let faults = 0
  let refused = 0
  const queue = createQueue()
  const after = (delayMs: number, run: () => void): void => queue.push(nowMs + delayMs, run)

  const log: { readonly record: CommandRecord; readonly at: Instant }[] = []
  const authorities: Ledger[] = [createLedger(), createLedger()]
  const admitted = new Map<string, bigint>()
  const limits = new Map<string, bigint>()
  const epochAt = (at: number): string => String(Math.floor(at / 3_600_000))
  for (const at of [START, START + DURATION_MS]) limits.set(epochAt(at), LIMIT)

  // --- the log and those who decide from it ---
  const append = (record: CommandRecord): void => {
    // A log clock that runs back a little, as clocks of brokers do.
    log.push({
      record: decodeRecord(encodeRecord(record)),
      at: instantOf(Math.round(nowMs - between(0, 30))),
    })
    for (const index of authorities.keys()) after(between(0.2, 4), () => readTo(index))
  }
  const readTo = (index: number): void => {
    const ledger = authorities[index]
    if (ledger === undefined) return
    while (ledger.offset() < log.length) {
      const offset = ledger.offset()
      const entry = log[offset]
      if (entry === undefined) return
      const { record, at } = entry
      if (record.command.kind === 'acquire') checkBooks(ledger)
      const answer = decideAt(ledger, offset, record, at)
      reply(record, answer)
    }
  }
  const decideAt = (ledger: Ledger, offset: number, record: CommandRecord, at: Instant): Answer => {
    if (without === null || without === 'commands are decided in log order') {
      return ledger.applyRecord(offset, record, at).answer
    }
    return applyWithout(without, { ledger, offset, record, at })
  }
  const checkBooks = (ledger: Ledger): void => {
    const account = ledger.account(NAME)
    if (account === null || without !== null) return
    const { limit, settled, leased } = figuresOfAccount(account)
    assert(limit !== null && settled + leased <= limit, 'S + O > L')
  }
  const reply = (record: CommandRecord, answer: Answer): void => {
    const [name, incarnation] = record.commandId.split('#')
    const holder = holders.find((one) => one.name === name)
    if (holder === undefined) return
    const copies = chance(0.1) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      deliver(holder, chance(0.06) ? between(100, 2_000) : between(0.2, 6), () => {
        receive(holder, Number(incarnation), record.command, answer)
      })
    }
  }
  const deliver = (holder: Holder, delayMs: number, run: () => void): void => {
    if (chance(0.02)) return // lost
    after(delayMs, () => {
      if (nowMs < holder.cutUntil) return
      if (nowMs < holder.pausedUntil) after(holder.pausedUntil - nowMs + 0.1, run)
      else run()
    })
  }

  // --- the enforcers ---
  const holders: Holder[] = Array.from({ length: HOLDERS }, (_, i) => born(`gw${i}`, 1))
  function born(name: string, incarnation: number): Holder {
    return {
      name,
      incarnation,
      client: createLeaseClient({ holder: name, incarnation, ttlMs: TTL_MS }),
      skewMs: between(-50, 50),
      isUp: true,
      pausedUntil: 0,
      cutUntil: 0,
      spool: new Map(),
    }
  }
  const wall = (holder: Holder): Instant => instantOf(Math.round(nowMs + holder.skewMs))
  const canRun = (holder: Holder): boolean => holder.isUp && nowMs >= holder.pausedUntil
  const send = (holder: Holder, command: Command): void => {
    const copies = chance(0.1) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (chance(0.02) || nowMs < holder.cutUntil) continue
      const record = {
        commandId: `${holder.name}#${holder.incarnation}`,
        account: NAME,
        command,
        clock: null,
      }
      const late = chance(0.05) ? between(50, 3_000) : between(0.2, 6)
      if (without === 'commands are decided in log order') after(late, () => decideOnArrival(record))
      else after(late, () => append(record))
    }
  }
  /** Two authorities that each believe what they themselves have heard. */
  const decideOnArrival = (record: CommandRecord): void => {
    const ledger = authorities[chance(0.5) ? 0 : 1]
    if (ledger !== undefined)
      reply(record, ledger.applyRecord(ledger.offset(), record, instantOf(Math.round(nowMs))).answer)
  }
  const receive = (holder: Holder, incarnation: number, command: Command, answer: Answer): void => {
    if (!holder.isUp) return
    if (command.kind === 'return') {
      if (incarnation === holder.incarnation && answer.kind === 'done')
        holder.client.wallet.confirm(command.leaseId)
      return
    }
    if (command.kind !== 'acquire') return
    const outcome = holder.client.receive(command, answer)
    if (outcome !== 'passedOver' || answer.kind !== 'granted') return
    const isOld = command.incarnation !== holder.incarnation
    if (
      isOld ? has('an answer to an earlier life of the holder is passed over') : has('an answer counts once')
    )
      return
    // As if nobody had looked whose answer it was: the lease is taken in (again) under a number of its own.
    const id = String(BigInt(answer.lease.id) * 1_000_000n + BigInt(queue.count()))
    holder.client.wallet.add({ ...answer.lease, id }, nowMs + TTL_MS)
  }
  const request = (holder: Holder): void => {
    if (!canRun(holder)) return
    const { client } = holder
    const units = BigInt(1 + Math.floor(between(0, 4)))
    const now = wall(holder)
    const stamp = has('a lease serves its own period only') ? now : periodOfAnyLease(client, now)
    const taken = client.take(units, stamp, nowMs)
    if (taken === null) {
      refused++
      // Nothing helps but the next period or a top-up: it is asked for a few times a second, not by every request.
      if (client.denial()?.final === true && !chance(0.05)) return
      if (client.asked() === null) send(holder, client.ask(units, nowMs))
      return
    }
    admitted.set(epochAt(now), (admitted.get(epochAt(now)) ?? 0n) + units)
    spend(holder, taken, units)
    if (client.isLow(now, nowMs)) send(holder, client.ask(1n, nowMs))
  }
  const spend = (holder: Holder, taken: readonly Held[], units: bigint): void => {
    const { incarnation } = holder
    for (const { lease, units: part } of taken) {
      const before = holder.spool.get(lease.id)
      holder.spool.set(lease.id, { incarnation, used: (before?.used ?? 0n) + part })
    }
    // Most are settled at once; some hold their units while they run.
    if (chance(0.8)) holder.client.wallet.settle(taken, units)
    else
      after(between(10, 1_500), () => {
        if (holder.incarnation === incarnation) holder.client.wallet.settle(taken, units)
      })
  }
  const housekeep = (holder: Holder): void => {
    if (canRun(holder)) {
      const { client } = holder
      client.wallet.seal(wall(holder), nowMs, chance(0.02))
      const denial = client.denial()
      if (denial !== null && chance(0.2)) client.wallet.sealForRecall()
      for (const { leaseId, used } of client.returns()) {
        send(holder, { kind: 'return', leaseId, used })
        if (!has('leases are sealed before they are returned')) {
          for (const lease of client.wallet.leases()) lease.isSealed = lease.left === 0n
        }
      }
      const asked = client.asked()
      if (asked !== null) send(holder, asked)
    }
    after(between(60, 200), () => housekeep(holder))
  }

  // --- faults ---
  const declareLost = (holder: Holder, incarnation: number): void => {
    const lost: Command = { kind: 'holderLost', holder: holder.name, incarnation }
    operate(lost)
    if (!has('a lost holder’s leases stay charged')) {
      for (const lease of leasesOf(holder.name, incarnation))
        operate({ kind: 'reconcile', leaseId: lease, used: 0n })
    }
  }
  const operate = (command: Command): void => {
    const record = { commandId: 'operator', account: NAME, command, clock: null }
    if (without === 'commands are decided in log order') {
      for (const ledger of authorities)
        ledger.applyRecord(ledger.offset(), record, instantOf(Math.round(nowMs)))
    } else append(record)
  }
  const booksOf = (ledger: Ledger | undefined): Account | null =>
    ledger === undefined ? null : (brokenBooksOf(ledger) ?? ledger.account(NAME))
  const leasesOf = (name: string, incarnation: number): readonly string[] =>
    (booksOf(authorities[0])?.leases ?? [])
      .filter((lease) => lease.holder === name && lease.incarnation <= incarnation)
      .map((lease) => lease.id)
  const crash = (holder: Holder): void => {
    const dead = holder.incarnation
    holder.isUp = false
    after(between(20, 1_500), () => {
      const next = born(holder.name, dead + 1)
      Object.assign(holder, { ...next, spool: holder.spool })
      declareLost(holder, dead)
      // The spool tells exactly what the dead life had admitted; a while later it is replayed.
      after(between(50, 1_500), () => {
        for (const leaseId of leasesOf(holder.name, dead)) {
          operate({ kind: 'reconcile', leaseId, used: holder.spool.get(leaseId)?.used ?? 0n })
        }
      })
    })
  }
  const misfortune = (): void => {
    const holder = holders[Math.floor(between(0, HOLDERS))]
    if (holder !== undefined) {
      faults++
      const kind = Math.floor(between(0, 7))
      if (kind === 0 && holder.isUp) crash(holder)
      if (kind === 1) holder.cutUntil = nowMs + between(100, 5_000)
      if (kind === 2) holder.pausedUntil = nowMs + between(100, 12_000)
      if (kind === 3) holder.skewMs = chance(0.5) ? between(-3_600_000, 3_600_000) : 0
      if (kind === 4) {
        // Taken for dead while it lives: its leases are forfeited, and go on admitting.
        if (!has('an open lease is not reconciled by guessing')) guess(holder)
        declareLost(holder, holder.incarnation - 1)
      }
      if (kind === 5) restartAuthority(chance(0.5) ? 0 : 1)
      if (kind === 6) {
        holder.cutUntil = nowMs + between(500, 6_000)
        after(between(100, 400), () => declareLost(holder, holder.incarnation))
        after(between(6_000, 9_000), () => {
          // It learns that it was taken for dead, and goes on as a new life; what it had it returns.
          if (!holder.isUp) return
          for (const lease of holder.client.wallet.leases()) lease.isSealed = true
          for (const { leaseId, used } of holder.client.returns()) operate({ kind: 'return', leaseId, used })
          const next = born(holder.name, holder.incarnation + 1)
          Object.assign(holder, { ...next, spool: holder.spool, skewMs: holder.skewMs })
        })
      }
    }
    after(between(200, 1_500), misfortune)
  }
  const guess = (holder: Holder): void => {
    for (const leaseId of leasesOf(holder.name, holder.incarnation))
      operate({ kind: 'reconcile', leaseId, used: 0n })
  }
  const restartAuthority = (index: number): void => {
    const ledger = authorities[index]
    if (ledger === undefined || without !== null) return
    // From a snapshot taken now, and from the log's beginning: both must come to the same books.
    const restored = createLedger(
      JSON.parse(JSON.stringify(ledger.snapshot())) as ReturnType<Ledger['snapshot']>,
    )
    const replayed = createLedger()
    for (const [offset, { record, at }] of log.slice(0, ledger.offset()).entries()) {
      replayed.applyRecord(offset, record, at)
    }
    assert.equal(replayed.stateHash(), restored.stateHash(), 'a replay came to other books')
    authorities[index] = chance(0.5) ? restored : replayed
  }
  const topUp = (): void => {
    const label = epochAt(nowMs)
    const units = BigInt(Math.floor(between(1, 400)))
    limits.set(label, (limits.get(label) ?? 0n) + units)
    const effectiveAt = instantOf(START)
    operate({
      kind: 'grant',
      grantId: `g${queue.count()}`,
      units,
      priority: 1,
      effectiveAt,
      expiresAt: 'epoch',
    })
  }

  operate({ kind: 'setTerms', terms: TERMS })
  for (const holder of holders) {
    after(between(1, 100), () => housekeep(holder))
    const next = (): void => {
      request(holder)
      after(-Math.log(1 - random()) * 60, next)
    }
    after(5, next)
  }
  after(between(200, 800), misfortune)
  // Not close to the turn of the hour, where the log's clock decides into which of the two it falls.
  if (chance(0.7)) after(between(1_000, 10_000), topUp)
  nowMs = queue.runUntil(START + DURATION_MS, (at) => {
    nowMs = at
  })

  let overshoot = 0n
  let total = 0n
  let limit = 0n
  for (const [label, units] of admitted) {
    const allowed = limits.get(label) ?? LIMIT
    if (units > allowed) overshoot += units - allowed
    total += units
    limit += allowed
  }
  if (without === null) {
    for (const index of authorities.keys()) readTo(index)
    assert.equal(authorities[0]?.stateHash(), authorities[1]?.stateHash(), 'two readers of one log disagree')
    assert.equal(authorities[0]?.account(NAME)?.lateUnits, 0n, 'units were told late')
  }
  return { overshoot, admitted: total, limit, refused, faults }
}

function periodOfAnyLease(client: LeaseClient, now: Instant): Instant {
  return client.wallet.leases().find((lease) => !lease.isSealed && lease.left > 0n)?.epoch.start ?? now
}
