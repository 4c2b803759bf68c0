import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runDemo } from '../support/demo.ts'
import { startKafka } from '../support/kafka.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-kafka-demo-'))
let kafka: Awaited<ReturnType<typeof startKafka>>
beforeAll(async () => {
  kafka = await startKafka()
})
afterAll(async () => {
  await kafka.stop()
  rmSync(scratch, { recursive: true, force: true })
})

describe('the whole path on Apache Kafka', () => {
  it('gives the same invoice as the embedded log', async () => {
    const result = await runDemo(['--data', join(scratch, 'data')], {
      KAFKA_BROKERS: kafka.brokers.join(','),
    })
    expect(result.events.accepted).toBe(8819)
    expect(result.quota.keyStatus).toBe('suspended')
    expect(result.invoice.total).toBe('65.58')
    expect(result.reconcile.ok).toBe(true)
  })
})
