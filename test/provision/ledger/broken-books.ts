import type { Account } from '../../../src/provision/ledger/account.ts'
import { apply } from '../../../src/provision/ledger/apply.ts'
import type { Answer, CommandRecord } from '../../../src/provision/ledger/command.ts'
import type { Ledger } from '../../../src/provision/ledger/ledger.ts'
import type { Instant } from '../../../src/time/instant.ts'

/** What keeps a hard quota from being oversold. A simulation without one of them must oversell in some run. */
export const PROTECTIONS = [
  'leases are sealed before they are returned',
  'an answer counts once',
  'an answer to an earlier life of the holder is passed over',
  'a lost holder’s leases stay charged',
  'returning a closed lease changes nothing',
  'what is leased counts against the limit',
  'commands are decided in log order',
  'an open lease is not reconciled by guessing',
  'a lease serves its own period only',
] as const
export type Protection = (typeof PROTECTIONS)[number]

interface Reading {
  readonly ledger: Ledger
  readonly offset: number
  readonly record: CommandRecord
  readonly at: Instant
}

/** The books without one of their rules, by changing what the rule would have looked at. */
export function applyWithout(without: Protection, { ledger, offset, record, at }: Reading): Answer {
  const books = BROKEN.get(ledger) ?? { account: null, closed: new Map<string, bigint>() }
  BROKEN.set(ledger, books)
  ledger.applyRecord(offset, { ...record, command: { kind: 'tick' } }, at)
  let before = books.account
  let { command } = record
  if (before !== null) {
    const lease =
      'leaseId' in command
        ? before.leases.find((one) => one.id === (command as { leaseId: string }).leaseId)
        : undefined
    if (lease !== undefined) books.closed.set(lease.id, lease.units)
    if (without === 'what is leased counts against the limit' && command.kind === 'acquire') {
      before = { ...before, pools: before.pools.map((pool) => ({ ...pool, leased: 0n })) }
    }
    if (without === 'an open lease is not reconciled by guessing' && command.kind === 'reconcile') {
      command = { kind: 'return', leaseId: command.leaseId, used: command.used }
    }
    if (
      without === 'returning a closed lease changes nothing' &&
      command.kind === 'return' &&
      lease === undefined
    ) {
      const units = books.closed.get(command.leaseId) ?? 0n
      const [base, ...rest] = before.pools
      if (base !== undefined)
        before = { ...before, pools: [{ ...base, leased: base.leased - units }, ...rest] }
    }
  }
  const applied = apply(record.account, before, command, at)
  books.account = applied.account
  return applied.answer
}

/** The account as it stands there; null where nothing was broken. */
export function brokenBooksOf(ledger: Ledger): Account | null {
  return BROKEN.get(ledger)?.account ?? null
}

const BROKEN = new WeakMap<Ledger, { account: Account | null; closed: Map<string, bigint> }>()
