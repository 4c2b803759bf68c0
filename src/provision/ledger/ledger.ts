import { hash } from 'node:crypto'
import { type Instant, instantOf } from '../../time/instant.ts'
import { type Account, accountIndex, type AccountName } from './account.ts'
import { apply, type Applied } from './apply.ts'
import { type CommandRecord, fromJson, toJson } from './command.ts'

/** The accounts of one partition of the command log, at one offset of it. */
export interface Ledger {
  /** The next offset to be applied. */
  offset(): number
  /** Applies the record at `offset()`. @throws RangeError when it is another one */
  applyRecord(offset: number, record: CommandRecord, appendedAt: Instant): Applied
  account(name: AccountName): Account | null
  accounts(): Iterable<Account>
  /** Of all books: two ledgers that read the same log agree, or one of them is wrong. */
  stateHash(): string
  snapshot(): LedgerSnapshot
}

export interface LedgerSnapshot {
  readonly offset: number
  /** The largest time seen: what comes next is not earlier. */
  readonly now: Instant
  readonly hash: string
  /** JSON of the accounts. */
  readonly accounts: string
}

/** @throws Error when the snapshot's hash is not that of its accounts */
export function createLedger(from: LedgerSnapshot | null = null): Ledger {
  const accounts = new Map<string, Account>()
  let next = from?.offset ?? 0
  let now = from?.now ?? instantOf(0)
  for (const account of from === null ? [] : (fromJson(from.accounts) as Account[])) {
    accounts.set(accountIndex(account.name), account)
  }

  const serialized = (): string =>
    toJson([...accounts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, account]) => canonical(account)))
  const hashOf = (text: string): string => hash('sha256', `${next} ${text}`, 'hex')

  const ledger: Ledger = {
    offset: () => next,
    applyRecord(offset, { account: name, command, clock }, appendedAt) {
      if (offset !== next) throw new RangeError(`the ledger is at ${next}, not at ${offset}`)
      next++
      if (appendedAt > now) now = appendedAt
      const index = accountIndex(name)
      const applied = apply(name, accounts.get(index) ?? null, command, clock ?? now)
      if (applied.account !== null) accounts.set(index, applied.account)
      return applied
    },
    account: (name) => accounts.get(accountIndex(name)) ?? null,
    accounts: () => accounts.values(),
    stateHash: () => hashOf(serialized()),
    snapshot() {
      const text = serialized()
      return { offset: next, now, hash: hashOf(text), accounts: text }
    },
  }
  if (from !== null && ledger.stateHash() !== from.hash) {
    throw new Error(`the snapshot of the quota ledger at ${from.offset} is damaged: its hash differs`)
  }
  return ledger
}

/** The same books as the same text: members in the order of their names, at every depth. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value as Record<string, unknown>).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(members.map(([name, member]) => [name, canonical(member)]))
}
