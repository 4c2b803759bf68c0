import { crc32 } from 'node:zlib'
import type { Instant } from '../../time/instant.ts'
import { type EventLog, type LogBatch, LogError } from '../../usage/event-log.ts'
import type { Account, AccountName } from './account.ts'
import { type Answer, type Command, type CommandRecord, decodeRecord, encodeRecord } from './command.ts'
import { createLedger, type Ledger, type LedgerSnapshot } from './ledger.ts'

/** Commands of the quota ledger; all of one holder on one partition, in one order. */
const TOPIC_QUOTA_COMMANDS = 'quota.commands.v1'
/** Fixed for an epoch of the topic: an account must never change its partition. */
const LEDGER_PARTITIONS = 4

export interface LedgerSnapshots {
  load(partition: number): Promise<LedgerSnapshot | null>
  /** Keeps the later one of what is held and this. */
  save(partition: number, snapshot: LedgerSnapshot): Promise<void>
}

export interface QuotaAuthorityDeps {
  readonly log: EventLog
  readonly snapshots: LedgerSnapshots
  /** Names this process: every authority reads the whole topic, so each is a group of its own. */
  readonly instance: string
  readonly onFatal: (error: Error) => void
  /** Told when a command reached rungs of a ladder: here and in every other process that reads the log. */
  readonly onReached?: (account: Account, rungs: readonly string[]) => void
  /** Told when holders are asked to give back what they do not need. */
  readonly onRecall?: (name: AccountName, holders: readonly string[]) => void
  /** The hash of the books at an offset: the same in every process, or one of them is wrong. */
  readonly onHash?: (partition: number, offset: number, hash: string) => void
  readonly snapshotEvery?: number
  readonly answerWithinMs?: number
}

export interface QuotaAuthority {
  /**
   * Appends the command and answers when it has been read back and decided. To repeat it after a failure is safe.
   * @param clock the holder's present where it lives by a test clock
   * @throws LogError `unavailable` when there is no answer in time: the command may or may not be decided later
   */
  submit(name: AccountName, command: Command, clock?: Instant | null): Promise<Answer>
  /** The books as this process has read them; null where there are none. */
  account(name: AccountName): Account | null
  accounts(): Iterable<Account>
  stop(): Promise<void>
}

const SNAPSHOT_EVERY = 10_000
const ANSWER_WITHIN_MS = 5_000
/** Commands without an answer; beyond them the log is not keeping up, and asking more would not help. */
const PENDING_MAX = 10_000

interface Pending {
  readonly record: CommandRecord
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

/**
 * The quota ledger of this process: every process that reads the log comes to the same books, so there is no leader
 * to elect, no lock to lose, and a process that fell behind can do no harm. Each answers what it appended itself.
 */
export async function startQuotaAuthority(deps: QuotaAuthorityDeps): Promise<QuotaAuthority> {
  const { log, snapshots, instance, onFatal, snapshotEvery = SNAPSHOT_EVERY } = deps
  const answerWithinMs = deps.answerWithinMs ?? ANSWER_WITHIN_MS
  await log.ensureTopic({ name: TOPIC_QUOTA_COMMANDS, partitions: LEDGER_PARTITIONS, retentionMs: null })
  const ledgers: Ledger[] = []
  for (let partition = 0; partition < LEDGER_PARTITIONS; partition++) {
    ledgers.push(createLedger(await snapshots.load(partition)))
  }
  const ledgerAt = (partition: number): Ledger => {
    const ledger = ledgers[partition]
    if (ledger === undefined) throw new RangeError(`no partition ${partition}`)
    return ledger
  }
  const pending = new Map<string, Pending>()
  let submitted = 0
  let waiting: Pending[] = []

  const settle = (commandId: string, outcome: Answer | Error): void => {
    const one = pending.get(commandId)
    if (one === undefined) return
    pending.delete(commandId)
    if (outcome instanceof Error) one.reject(outcome)
    else one.resolve(outcome)
  }

  /** Everything that was submitted in this turn of the event loop goes to the log as one append. */
  const flush = async (): Promise<void> => {
    const batch = waiting
    waiting = []
    const records = batch.map(({ record }) => ({
      partition: partitionOf(record.account),
      value: encodeRecord(record),
    }))
    try {
      const outcomes = await log.append(TOPIC_QUOTA_COMMANDS, records)
      for (const [index, { record }] of batch.entries()) {
        const outcome = outcomes[index]
        if (outcome?.kind !== 'appended')
          settle(record.commandId, unavailable(outcome?.reason ?? 'no answer'))
      }
    } catch (error) {
      for (const { record } of batch) settle(record.commandId, unavailable('the log takes nothing', error))
    }
  }

  const apply = (ledger: Ledger, partition: number, { records }: LogBatch): void => {
    for (const { offset, value, appendedAt } of records) {
      // A batch that failed half-way comes again from its beginning.
      if (offset < ledger.offset()) continue
      const record = decodeRecord(value)
      const { account, answer, reached } = ledger.applyRecord(offset, record, appendedAt)
      settle(record.commandId, answer)
      if (account !== null && reached.length > 0) deps.onReached?.(account, reached)
      if (answer.kind === 'denied' && answer.recall.length > 0) deps.onRecall?.(record.account, answer.recall)
      if (ledger.offset() % snapshotEvery === 0) deps.onHash?.(partition, ledger.offset(), ledger.stateHash())
    }
  }

  const savedAt = ledgers.map((ledger) => ledger.offset())
  const consumer = await log.consume({
    topic: TOPIC_QUOTA_COMMANDS,
    group: `tallyman.${TOPIC_QUOTA_COMMANDS}.${instance}`,
    resumeAt: async (partition) => ledgerAt(partition).offset(),
    onBatch: async (batch) => {
      const { partition } = batch
      const ledger = ledgerAt(partition)
      apply(ledger, partition, batch)
      if (ledger.offset() - (savedAt[partition] ?? 0) < snapshotEvery) return
      await snapshots.save(partition, ledger.snapshot())
      savedAt[partition] = ledger.offset()
    },
    onFatal,
  })
  const ends = await log.endOffsets(TOPIC_QUOTA_COMMANDS)
  // Books that are behind would answer questions about them with the past.
  await Promise.all(ends.map(({ partition, offset }) => whenRead(ledgerAt(partition), offset)))

  return {
    submit(account, command, clock = null) {
      if (pending.size >= PENDING_MAX) return Promise.reject(unavailable('too many commands have no answer'))
      const { promise, resolve, reject } = Promise.withResolvers<Answer>()
      const record: CommandRecord = { commandId: `${instance}:${++submitted}`, account, command, clock }
      const entry = { record, resolve, reject }
      pending.set(record.commandId, entry)
      const timer = setTimeout(
        () => settle(record.commandId, unavailable('no answer in time')),
        answerWithinMs,
      )
      if (waiting.push(entry) === 1) setImmediate(() => void flush())
      return promise.finally(() => clearTimeout(timer))
    },
    account: (name) => ledgerAt(partitionOf(name)).account(name),
    *accounts() {
      for (const ledger of ledgers) yield* ledger.accounts()
    },
    async stop() {
      await consumer.stop()
      for (const commandId of [...pending.keys()]) settle(commandId, unavailable('the gate is stopping'))
      for (const [partition, ledger] of ledgers.entries()) {
        if (ledger.offset() > (savedAt[partition] ?? 0)) await snapshots.save(partition, ledger.snapshot())
      }
    },
  }
}

/** All accounts of one holder share a partition: a request that spends several quotas meets one order. */
function partitionOf({ tenant, holder }: AccountName): number {
  return crc32(`${tenant}\0${holder.kind}\0${holder.id}`) % LEDGER_PARTITIONS
}

async function whenRead(ledger: Ledger, end: number): Promise<void> {
  while (ledger.offset() < end) await new Promise((resolve) => setTimeout(resolve, 5))
}

function unavailable(detail: string, cause?: unknown): LogError {
  return new LogError('unavailable', `The quota ledger cannot answer: ${detail}.`, { retryable: true, cause })
}
