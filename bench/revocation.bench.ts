import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TenantId } from '../src/id/ids.ts'
import { openEmbeddedLog } from '../src/log/embedded/embedded-log.ts'
import { connectKafkaLog } from '../src/log/kafka/kafka-log.ts'
import { applyKeyRecord } from '../src/provision/gate-topic.ts'
import { createKeyTable } from '../src/provision/key-table.ts'
import { mintKey } from '../src/provision/mint.ts'
import { instantOf } from '../src/time/instant.ts'
import type { EventLog } from '../src/usage/event-log.ts'
import { startKafka } from '../test/support/kafka.ts'
import type { Figure } from './figure.ts'

const TENANT = 'ten_bench' as TenantId
const TOPIC = 'bench.key.state'
const REVOCATIONS = 300
const WARM_UP = 30

/**
 * From the moment a revocation is appended to the last request that a gate on the other side of the log admits. The
 * floor is the append alone: until it is durable nothing is revoked.
 */
export async function run(): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-bench-revocation-'))
  const kafka = await startKafka()
  try {
    const embedded = await openEmbeddedLog({ directory: join(directory, 'log') })
    const figures = await measure('embedded log', embedded)
    await embedded.close()
    const brokers = { brokers: kafka.brokers, clientId: 'bench', replicationFactor: 1 }
    const log = await connectKafkaLog(brokers)
    const ofKafka = await measure('Kafka, one broker', log)
    await log.close()
    return [...figures, ...ofKafka]
  } finally {
    await kafka.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function measure(name: string, log: EventLog): Promise<readonly Figure[]> {
  await log.ensureTopic({ name: TOPIC, partitions: 1, retentionMs: null })
  const now = instantOf(Date.now())
  const table = createKeyTable({
    holders: { now: () => now },
    monotonicMs: () => performance.now(),
    metrics: { decided: () => undefined, keysHeld: () => undefined, applied: () => undefined },
  })
  const consumer = await log.consume({
    topic: TOPIC,
    group: `bench.${randomBytes(4).toString('hex')}`,
    resumeAt: async () => 0,
    onBatch: async ({ records }) => {
      for (const { value } of records) applyKeyRecord(table, value)
    },
    onFatal: (error) => {
      throw error
    },
  })
  const admitted: number[] = []
  const appended: number[] = []
  for (let i = 0; i < REVOCATIONS + WARM_UP; i++) {
    const { key, state } = mintKey(
      { tenant: TENANT, name: 'k', scopes: [] },
      { nowMs: now, createdAt: now, randomBytes },
    )
    const isAdmitted = (): boolean => table.decide({ tenant: TENANT, key, permission: null }).refusal === null
    await publish(log, state)
    await until(isAdmitted)
    const startedMs = performance.now()
    const done = publish(log, { ...state, version: 2, revokedAt: now }).then(
      () => performance.now() - startedMs,
    )
    await until(() => !isAdmitted())
    const lastMs = performance.now() - startedMs
    const appendMs = await done
    if (i < WARM_UP) continue
    admitted.push(lastMs)
    appended.push(appendMs)
  }
  await consumer.stop()
  const [last, append] = [quantiles(admitted), quantiles(appended)]
  return [
    { metric: `revoke → last admitted p50, ${name}`, value: last.p50, unit: 'ms', floor: append.p50 },
    { metric: `revoke → last admitted p99, ${name}`, value: last.p99, unit: 'ms', floor: append.p99 },
  ]
}

async function publish(log: EventLog, state: object): Promise<void> {
  const [outcome] = await log.append(TOPIC, [{ partition: 0, value: Buffer.from(JSON.stringify(state)) }])
  if (outcome?.kind !== 'appended') throw new Error(outcome?.reason ?? 'no answer')
}

/** A client that asks in every turn of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

function quantiles(values: readonly number[]): { readonly p50: number; readonly p99: number } {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0
  return { p50: at(0.5), p99: at(0.99) }
}
