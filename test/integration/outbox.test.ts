import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { addToOutbox, createOutboxRelay } from '../../src/database/outbox.ts'
import { createMemoryLog } from '../../src/log/memory-log.ts'
import type { AppendOutcome, AppendRecord, EventLog } from '../../src/usage/event-log.ts'
import { openTestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'

const TOPICS = ['one.v1', 'two.v1'] as const

let database: Database
let log: EventLog
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(async () => database.stop())
beforeEach(async () => {
  await database.db.deleteFrom('outbox').execute()
  log = createMemoryLog()
  for (const name of TOPICS) await log.ensureTopic({ name, partitions: 1, retentionMs: null })
})

/** Adds numbered messages, each in a transaction of its own. */
async function add(from: number, to: number, topic: string = TOPICS[0]): Promise<void> {
  for (let n = from; n <= to; n++) {
    await database.db.transaction().execute((transaction) => addToOutbox(transaction, topic, { n }))
  }
}

async function carried(topic: string = TOPICS[0]): Promise<readonly number[]> {
  const numbers: number[] = []
  for (let offset = 0; ;) {
    const records = await log.read(topic, 0, offset, 1 << 20)
    if (records.length === 0) return numbers
    for (const { value } of records) {
      numbers.push((JSON.parse(Buffer.from(value).toString()) as { readonly n: number }).n)
    }
    offset += records.length
  }
}

const waiting = async (): Promise<number> =>
  (await database.db.selectFrom('outbox').select('id').execute()).length
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const relayOn = (
  append: (topic: string, records: readonly AppendRecord[]) => Promise<readonly AppendOutcome[]> = (
    topic,
    records,
  ) => log.append(topic, records),
  onError?: (error: unknown) => void,
) =>
  createOutboxRelay({
    database,
    log: { append, endOffsets: (topic) => log.endOffsets(topic) },
    topics: TOPICS,
    ...(onError === undefined ? {} : { onError }),
  })

describe('the outbox', () => {
  it('D1: a message is there if, and only if, its transaction was committed', async () => {
    const undone = database.db.transaction().execute(async (transaction) => {
      await addToOutbox(transaction, TOPICS[0], { n: 1 })
      throw new Error('undone')
    })
    await expect(undone).rejects.toThrow('undone')
    await add(2, 2)
    await relayOn().flush()
    expect(await carried()).toEqual([2])
  })

  it('D2: carries in order, topic by topic, more than one round, and answers the ends of the topics', async () => {
    await sql`insert into outbox (topic, message)
      select ${TOPICS[0]}, jsonb_build_object('n', n) from generate_series(1, 2500) as n order by n`.execute(
      database.db,
    )
    await add(1, 3, TOPICS[1])
    const ends = await relayOn().flush()
    expect(ends).toEqual(
      new Map([
        [TOPICS[0], 2500],
        [TOPICS[1], 3],
      ]),
    )
    expect(await carried()).toEqual(range(1, 2500))
    expect(await waiting()).toBe(0)
  })

  it('D2: two relays take turns: each message once while nothing fails, in order', async () => {
    await add(1, 40)
    const relays = [relayOn(), relayOn(), relayOn()]
    await Promise.all([...relays.map((relay) => relay.flush()), add(41, 60)])
    await Promise.all(relays.map((relay) => relay.flush()))
    expect(await carried()).toEqual(range(1, 60))
  })

  it('D2: a relay that is killed between append and delete leaves the messages: at least once, in order', async () => {
    await add(1, 3)
    let kill = true
    const relay = relayOn(async (topic, records) => {
      const outcomes = await log.append(topic, records)
      if (kill) {
        kill = false
        await sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and state = 'idle in transaction' and pid <> pg_backend_pid()`.execute(
          database.db,
        )
      }
      return outcomes
    })
    await expect(relay.flush()).rejects.toThrow()
    expect([await carried(), await waiting()]).toEqual([[1, 2, 3], 3])
    await add(4, 4)
    await relayOn().flush()
    expect([await carried(), await waiting()]).toEqual([[1, 2, 3, 1, 2, 3, 4], 0])
  })

  it('D2: what the log refuses stays, with all that comes after it', async () => {
    await add(1, 5)
    let refusals = 1
    const relay = relayOn(async (topic, records) => {
      const refused = refusals-- > 0 ? 2 : records.length
      const outcomes = await log.append(topic, records.slice(0, refused))
      return [
        ...outcomes,
        ...records
          .slice(refused)
          .map(() => ({ kind: 'failed' as const, partition: 0, reason: 'full', indefinite: false })),
      ]
    })
    await relay.flush()
    expect(await carried()).toEqual([1, 2, 3, 4, 5])

    const full = relayOn((_topic, records) =>
      Promise.resolve(
        records.map(() => ({ kind: 'failed', partition: 0, reason: 'full', indefinite: false })),
      ),
    )
    await add(6, 6)
    await expect(full.flush()).rejects.toThrow('one.v1: full')
    expect(await waiting()).toBe(1)
  })

  it('a flush carries what was committed before it, also while another round runs', async () => {
    await add(1, 1)
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    let rounds = 0
    const relay = relayOn(async (topic, records) => {
      if (rounds++ === 0) await gate
      return log.append(topic, records)
    })
    const first = relay.flush()
    await eventually(
      () => rounds,
      (count) => count === 1,
    )
    await add(2, 2)
    const second = relay.flush()
    const third = relay.flush()
    release()
    await first
    expect(await carried()).toContain(1)
    await second
    expect(await carried()).toEqual([1, 2])
    await third
    expect(rounds).toBeLessThanOrEqual(2)
  })

  it('the watch carries what nobody flushes, tells of failures and goes on', async () => {
    const errors: unknown[] = []
    let fails = 2
    const relay = relayOn(
      (topic, records) =>
        fails-- > 0 ? Promise.reject(new Error('the log is away')) : log.append(topic, records),
      (error) => errors.push(error),
    )
    await add(1, 2)
    relay.watch(5)
    await eventually(
      () => carried(),
      (numbers) => numbers.length === 2,
    )
    expect(await carried()).toEqual([1, 2])
    await relay.stop()
    expect(errors.map(String)).toEqual(['Error: the log is away', 'Error: the log is away'])
    expect(await relay.backlog()).toEqual({ messages: 0, oldestSeconds: 0 })
    await add(3, 4)
    const backlog = await relay.backlog()
    expect(backlog.messages).toBe(2)
    expect(backlog.oldestSeconds).toBeGreaterThanOrEqual(0)
  })
})
