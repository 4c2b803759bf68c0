import { sql } from 'kysely'
import type { EventLog } from '../usage/event-log.ts'
import type { Database } from './database.ts'
import type { Connection } from './transaction.ts'

/** Promises that the message will be on the topic (partition 0, as JSON) if, and only if, the transaction commits. */
export async function addToOutbox(connection: Connection, topic: string, message: object): Promise<void> {
  await connection
    .insertInto('outbox')
    .values({ topic, message: JSON.stringify(message) })
    .execute()
}

export interface OutboxRelayOptions {
  readonly database: Database
  readonly log: Pick<EventLog, 'append' | 'endOffsets'>
  /** Whose end offsets `flush` answers. */
  readonly topics: readonly string[]
  /** Told of every failure of the watch; the messages stay and are tried again. */
  readonly onError?: (error: unknown) => void
}

/**
 * Carries committed messages to the log, in the order in which they were written, each at least once. Several
 * relays on one database take turns.
 */
export interface OutboxRelay {
  /**
   * Resolves when every message that was committed before the call is on the log: topic → end offset of its
   * partition 0. Calls share rounds.
   */
  flush(): Promise<ReadonlyMap<string, number>>
  /** Flushes whenever messages wait, at the latest after the interval: what a killed process left is carried, too. */
  watch(intervalMs: number): void
  /** Ends the watch and waits for what is under way. */
  stop(): Promise<void>
  /** For gauges. */
  backlog(): Promise<{ readonly messages: number; readonly oldestSeconds: number }>
}

/** Messages of one round; they are in memory at once. */
const roundMessagesMax = 1000
/** Any fixed number, other than that of migrations. */
const RELAY_LOCK = 7_251_918_831

export function createOutboxRelay({ database, log, topics, onError }: OutboxRelayOptions): OutboxRelay {
  const { db } = database
  let running: Promise<ReadonlyMap<string, number>> | null = null
  let following: Promise<ReadonlyMap<string, number>> | null = null
  let timer: NodeJS.Timeout | null = null

  async function round(): Promise<number> {
    return db.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(${RELAY_LOCK})`.execute(transaction)
      const rows = await transaction
        .selectFrom('outbox')
        .select(['id', 'topic', 'message'])
        .orderBy('id')
        .limit(roundMessagesMax)
        .execute()
      if (rows.length === 0) return 0
      const failures = await append(rows)
      const firstFailure = rows.findIndex(({ id }) => failures.has(id))
      const carried = firstFailure === -1 ? rows : rows.slice(0, firstFailure)
      if (carried.length > 0) {
        await transaction
          .deleteFrom('outbox')
          .where(
            'id',
            'in',
            carried.map(({ id }) => id),
          )
          .execute()
      }
      if (carried.length === 0)
        throw new Error(`the log refuses messages of the outbox: ${[...failures.values()][0] ?? ''}`)
      return rows.length
    })
  }

  /** Appends the rows and answers why some failed, by id. */
  async function append(
    rows: readonly { readonly id: number; readonly topic: string; readonly message: object }[],
  ): Promise<ReadonlyMap<number, string>> {
    const failures = new Map<number, string>()
    for (const [topic, group] of Map.groupBy(rows, (row) => row.topic)) {
      const records = group.map(({ message }) => ({
        partition: 0,
        value: Buffer.from(JSON.stringify(message)),
      }))
      const outcomes = await log.append(topic, records)
      for (const [index, { id }] of group.entries()) {
        const outcome = outcomes[index]
        if (outcome?.kind === 'appended') continue
        failures.set(id, `${topic}: ${outcome?.reason ?? 'no answer'}`)
      }
    }
    return failures
  }

  async function drain(): Promise<ReadonlyMap<string, number>> {
    while ((await round()) > 0);
    const ends = new Map<string, number>()
    for (const topic of topics) ends.set(topic, (await log.endOffsets(topic))[0]?.offset ?? 0)
    return ends
  }

  function begin(): Promise<ReadonlyMap<string, number>> {
    following = null
    running = drain().finally(() => (running = null))
    return running
  }

  // A message that was committed after the running round read may not be in it: a call waits for a round of its own.
  const flush = (): Promise<ReadonlyMap<string, number>> =>
    running === null ? begin() : (following ??= running.then(begin, begin))

  return {
    flush,
    watch(intervalMs) {
      timer ??= setInterval(() => {
        if (running === null) flush().catch((error: unknown) => onError?.(error))
      }, intervalMs)
      timer.unref()
    },
    async stop() {
      if (timer !== null) clearInterval(timer)
      timer = null
      await Promise.allSettled([running, following])
    },
    async backlog() {
      const row = await db
        .selectFrom('outbox')
        .select((eb) => [
          eb.fn.countAll<number>().as('messages'),
          sql<number>`coalesce(extract(epoch from now() - min(created_at)), 0)::float8`.as('oldest_seconds'),
        ])
        .executeTakeFirstOrThrow()
      return { messages: row.messages, oldestSeconds: row.oldest_seconds }
    },
  }
}
