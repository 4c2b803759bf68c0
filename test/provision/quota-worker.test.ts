import { describe, expect, it } from 'vitest'
import { createMemoryLog } from '../../src/log/memory-log.ts'
import { startQuotaWorker } from '../../src/provision/quota-worker.ts'
import { applyKeyRecord, loadKeyTable } from '../../src/provision/gate-topic.ts'
import { createKeyTable } from '../../src/provision/key-table.ts'
import type { ObservedUsage } from '../../src/usage/observed.ts'
import { TOPIC_OBSERVED } from '../../src/usage/topics.ts'
import type { EventLog } from '../../src/usage/event-log.ts'
import { ACME, aQuota, at, type Gate, openGate, SILENT_METRICS, TENANT, TOKENS } from '../support/gate.ts'

async function openLog(): Promise<EventLog> {
  const log = createMemoryLog({ retryPauseMs: 1 })
  await log.ensureTopic({ name: TOPIC_OBSERVED, partitions: 1, retentionMs: null })
  return log
}

async function tell(log: EventLog, subject: string, type = 'llm.request'): Promise<void> {
  const observed: ObservedUsage = {
    version: 1,
    touched: [{ tenant: TENANT, type, subject, firstMs: 0, lastMs: 0 }],
    journal: [],
  }
  await log.append(TOPIC_OBSERVED, [{ partition: 0, value: Buffer.from(JSON.stringify(observed)) }])
}

/** Resolves when the group has committed everything that is on the topic. */
async function whenRead(log: EventLog): Promise<void> {
  const [end] = await log.endOffsets(TOPIC_OBSERVED)
  for (;;) {
    const [position] = await log.committed(TOPIC_OBSERVED, 'provision.quotas')
    if ((position?.offset ?? 0) >= (end?.offset ?? 0)) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function start(gate: Gate, log: EventLog) {
  return startQuotaWorker({
    log,
    store: gate.store.quotas,
    quotas: gate.quotas,
    holders: gate.holders,
    meters: gate.meters,
    waitForJournal: async () => true,
    onFatal: (error) => {
      throw error
    },
  })
}

async function gateWithKey(): Promise<{ gate: Gate; key: string }> {
  const gate = openGate()
  await gate.store.quotas.put(aQuota(), gate.now)
  const outcome = await gate.keyring.mint({
    tenant: TENANT,
    name: 'k',
    scopes: [],
    customer: ACME,
    quotas: [TOKENS],
  })
  if (outcome.kind !== 'minted') throw new Error(outcome.detail)
  return { gate, key: outcome.key }
}
const isValid = (gate: Gate, key: string): boolean =>
  gate.table.verify({ tenant: TENANT, key, permission: null }).valid

describe('the quota worker', () => {
  it('suspends the key when the observed usage of a subject of its customer reaches the limit', async () => {
    const { gate, key } = await gateWithKey()
    const log = await openLog()
    const worker = await start(gate, log)
    gate.usage.push(['b', gate.now, 200_000n])
    await tell(log, 'b')
    await whenRead(log)
    expect(isValid(gate, key)).toBe(false)
    await worker.stop()
  })

  it('asks nothing for other event types and other subjects', async () => {
    const { gate } = await gateWithKey()
    const log = await openLog()
    const worker = await start(gate, log)
    gate.usageQueries.length = 0
    await tell(log, 'a', 'storage.sample')
    await tell(log, 'stranger')
    await whenRead(log)
    expect(gate.usageQueries).toEqual([])
    await worker.stop()
  })

  it('I7: reading the topic again from 0 changes nothing', async () => {
    const { gate, key } = await gateWithKey()
    const log = await openLog()
    const worker = await start(gate, log)
    gate.usage.push(['a', gate.now, 200_000n])
    await tell(log, 'a')
    await tell(log, 'a')
    await whenRead(log)
    await worker.stop()
    const published = gate.store.published.length
    const fresh = await openLog()
    await tell(fresh, 'a')
    await tell(fresh, 'a')
    const second = await start(gate, fresh)
    await whenRead(fresh)
    expect(gate.store.published).toHaveLength(published)
    expect(isValid(gate, key)).toBe(false)
    await second.stop()
  })

  it('I8: usage that was observed while it was down counts at its start', async () => {
    const { gate, key } = await gateWithKey()
    gate.usage.push(['a', gate.now, 200_000n])
    const worker = await start(gate, await openLog())
    expect(isValid(gate, key)).toBe(false)
    await worker.stop()
  })

  it('I8: a failure of the usage store skips nothing: the record is read again', async () => {
    const { gate, key } = await gateWithKey()
    const log = await openLog()
    let failures = 0
    const worker = await startQuotaWorker({
      log,
      store: {
        assignments: async (filter) => {
          if (filter.holders !== undefined && failures++ < 2) throw new Error('away')
          return gate.store.quotas.assignments(filter)
        },
      },
      quotas: gate.quotas,
      holders: gate.holders,
      meters: gate.meters,
      waitForJournal: async () => true,
      onFatal: (error) => {
        throw error
      },
    })
    gate.usage.push(['a', gate.now, 200_000n])
    await tell(log, 'a')
    await whenRead(log)
    expect([failures, isValid(gate, key)]).toEqual([3, false])
    await worker.stop()
  })
})

describe('a worker apart from the aggregator', () => {
  it('asks for no figure before the journal that it was told of is seen here', async () => {
    const { gate, key } = await gateWithKey()
    const log = await openLog()
    let looks = 0
    const worker = await startQuotaWorker({
      log,
      store: gate.store.quotas,
      quotas: gate.quotas,
      holders: gate.holders,
      meters: gate.meters,
      waitForJournal: async () => {
        // The rows are there with the second look, as where another process wrote them a moment ago.
        if (++looks === 2) gate.usage.push(['a', gate.now, 200_000n])
        return looks >= 2
      },
      onFatal: (error) => {
        throw error
      },
    })
    await tell(log, 'a')
    await whenRead(log)
    expect([looks, isValid(gate, key)]).toEqual([2, false])
    await worker.stop()
  })
})

describe('a table that follows the topic', () => {
  it('I6: snapshot and topic in any overlap give the same decisions as the writer’s own table', async () => {
    const { gate, key } = await gateWithKey()
    gate.usage.push(['a', gate.now, 250_000n])
    await gate.quotas.evaluateAll()
    gate.now = at('2023-12-03T00:00:00Z')
    await gate.quotas.tick()
    gate.usage.push(['a', gate.now, 170_000n])
    await gate.quotas.evaluateAll()
    const records = gate.store.published.map((document) => Buffer.from(JSON.stringify(document)))
    const orders = [records, records.toReversed(), [...records, ...records]]
    for (const order of orders) {
      const table = createKeyTable({ holders: gate.holders, monotonicMs: () => 0, metrics: SILENT_METRICS })
      await loadKeyTable(table, gate.store.snapshot)
      for (const record of order) applyKeyRecord(table, record)
      applyKeyRecord(table, Buffer.from('{"kind":"heartbeat"}'))
      expect(table.verify({ tenant: TENANT, key, permission: null })).toEqual(
        gate.table.verify({ tenant: TENANT, key, permission: null }),
      )
    }
  })
})
