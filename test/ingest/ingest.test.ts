import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { IngestAnswer } from '../../src/ingest/answer.ts'
import { partitionOf } from '../../src/usage/partition.ts'
import { aCloudEvent, aStage, NOW, TENANT } from '../support/ingest.ts'
import { decodePack } from '../support/scripted-log.ts'

const events = (count: number, parts: Record<string, unknown> = {}): Record<string, unknown>[] =>
  Array.from({ length: count }, (_, i) => aCloudEvent({ id: `evt-${i}`, ...parts }))

const accepted = (count: number, duplicates = 0): IngestAnswer => ({
  kind: 'accepted',
  accepted: count,
  duplicates,
  rejected: [],
})

describe('accept', () => {
  it('puts the events of a batch on the log, flat, with the tenant of the key', async () => {
    const { send, log } = aStage()
    const data = { tokens: 12, usage: { input: '10.5', cached: false }, models: ['a', 'b'], none: null }
    expect(await send([aCloudEvent({ data })])).toEqual(accepted(1))
    expect(log.events()).toEqual([
      {
        tenant: TENANT,
        source: '/gateway',
        id: 'evt-1',
        type: 'llm.request',
        subject: 'acme-prod',
        time: Date.UTC(2026, 2, 1, 11, 59),
        properties: { tokens: '12', 'usage.input': '10.5', 'usage.cached': 'false', models: '["a","b"]' },
      },
    ])
    expect(decodePack(log.records.flat()[0] as Uint8Array).ingestedAt).toBe(NOW)
  })

  it('I2: places every event by its identity alone', async () => {
    const { send, log } = aStage()
    await send(events(100))
    for (const [partition, records] of log.records.entries()) {
      for (const event of records.flatMap((record) => decodePack(record).events)) {
        expect(partitionOf(event.tenant, event.source, event.id, 8)).toBe(partition)
      }
    }
    expect(log.events()).toHaveLength(100)
  })

  it('I1: does not answer before every partition is durable', async () => {
    const { send, log } = aStage()
    log.hold()
    let answer: IngestAnswer | null = null
    const sent = send(events(100)).then((given) => (answer = given))
    await log.untilHeld()
    expect(answer).toBeNull()
    log.release()
    await sent
    expect(answer).toEqual(accepted(100))
  })

  it.each(['failed', 'indefinite', 'throws'] as const)('I1: answers 503 when a record %s', async (fate) => {
    const { send, log, faults } = aStage()
    log.failNext((partition) => (partition === 3 ? fate : 'appended'))
    expect(await send(events(100))).toMatchObject({ kind: 'unavailable', code: 'logUnavailable' })
    expect(faults).toHaveLength(1)
    const again = await send(events(100))
    expect(again).toEqual(accepted(100))
    expect(new Set(log.events().map(({ id }) => id)).size).toBe(100)
  })

  it('I3: a duplicate is not confirmed before its first copy is durable', async () => {
    const { send, log } = aStage()
    log.hold()
    const first = send([aCloudEvent()])
    await log.untilHeld()
    let answer: IngestAnswer | null = null
    const second = send([aCloudEvent()]).then((given) => (answer = given))
    await new Promise((resolve) => setImmediate(resolve))
    expect(answer).toBeNull()
    log.failNext(() => 'failed')
    log.release()
    expect(await first).toMatchObject({ kind: 'unavailable' })
    expect(await second).toMatchObject({ kind: 'unavailable' })
    expect(await send([aCloudEvent()])).toEqual(accepted(1))
  })

  it('I3: other content under a known identity is kept, and counted as a conflict', async () => {
    const { send, log, metrics } = aStage()
    await send([aCloudEvent()])
    expect(await send([aCloudEvent({ data: { tokens: 13 } })])).toEqual(accepted(0, 1))
    expect(log.events().map(({ properties }) => properties)).toEqual([{ tokens: '12' }, { tokens: '13' }])
    expect(metrics.judged.at(-1)).toMatchObject({ duplicates: 1, conflicts: 1 })
  })

  it('a failed partition does not fail requests that did not touch it', async () => {
    const { send, log } = aStage()
    const one = aCloudEvent({ id: 'a' })
    const other = events(50).find(
      (e) =>
        partitionOf(TENANT, '/gateway', e['id'] as string, 8) !== partitionOf(TENANT, '/gateway', 'a', 8),
    )
    log.failNext((partition) =>
      partition === partitionOf(TENANT, '/gateway', 'a', 8) ? 'failed' : 'appended',
    )
    const answers = await Promise.all([send([one]), send([other])])
    expect(answers.map(({ kind }) => kind)).toEqual(['unavailable', 'accepted'])
  })

  it('keeps one append in flight and gathers what arrives meanwhile', async () => {
    const { send, log } = aStage()
    log.hold()
    const first = send([aCloudEvent({ id: 'first' })])
    await log.untilHeld()
    const rest = Array.from({ length: 50 }, (_, i) => send([aCloudEvent({ id: `next-${i}` })]))
    log.release()
    expect(await first).toEqual(accepted(1))
    expect(await Promise.all(rest)).toEqual(rest.map(() => accepted(1)))
    expect(log.appends).toHaveLength(2)
  })

  it('closes packs at 1,000 events and sends the rest in a further append', async () => {
    const { send, log } = aStage()
    log.hold()
    const first = send([aCloudEvent({ id: 'first' })])
    await log.untilHeld()
    const many = Array.from({ length: 10 }, (_, batch) =>
      send(Array.from({ length: 1000 }, (_, i) => aCloudEvent({ id: `${batch}-${i}` }))),
    )
    log.release()
    await first
    expect(await Promise.all(many)).toEqual(many.map(() => accepted(1000)))
    expect(Math.max(...log.records.flat().map((record) => decodePack(record).events.length))).toBe(1000)
    expect(log.events()).toHaveLength(10_001)
  })

  it('keeps records below 512 KiB', async () => {
    const { send, log } = aStage()
    const text = 'x'.repeat(60_000)
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, batch) =>
        send(
          Array.from({ length: 20 }, (_, i) =>
            aCloudEvent({ id: `${batch}-${i}`, data: { a: text, b: text } }),
          ),
        ),
      ),
    )
    expect(answers.every(({ kind }) => kind === 'accepted')).toBe(true)
    expect(log.events()).toHaveLength(240)
    expect(Math.max(...log.records.flat().map((record) => record.length))).toBeLessThanOrEqual(524_288)
  })

  it('takes the good events of a batch and names the others', async () => {
    const { send, log, metrics } = aStage()
    const answer = await send([aCloudEvent({ id: 'good' }), aCloudEvent({ id: 'bad', time: 'noon' }), 7])
    expect(answer).toMatchObject({
      kind: 'accepted',
      accepted: 1,
      rejected: [
        { index: 1, id: 'bad', code: 'invalidTime' },
        { index: 2, id: null, code: 'notAnObject' },
      ],
    })
    expect(log.events().map(({ id }) => id)).toEqual(['good'])
    expect(metrics.rejected).toEqual(['invalidTime', 'notAnObject'])
  })

  it('an empty batch is fine and appends nothing', async () => {
    const { send, log } = aStage()
    expect(await send([])).toEqual(accepted(0))
    expect(log.appends).toEqual([])
  })

  it('a batch of rejected events appends nothing', async () => {
    const { send, log } = aStage()
    expect(await send([aCloudEvent({ data: { n: 1e300 } })])).toMatchObject({
      accepted: 0,
      rejected: [{ code: 'unsafeNumber' }],
    })
    expect(await send([aCloudEvent()])).toEqual(accepted(1))
    expect(log.appends).toEqual([1])
  })

  describe('atomic', () => {
    it('takes nothing when one event is rejected', async () => {
      const { send, log } = aStage()
      const answer = await send([aCloudEvent(), aCloudEvent({ id: 'x', data: 3 })], { atomic: true })
      expect(answer).toMatchObject({
        kind: 'refused',
        code: 'batchRejected',
        rejected: [{ index: 1, id: 'x', code: 'unsupportedData' }],
      })
      expect(log.appends).toEqual([])
      expect(await send([aCloudEvent()], { atomic: true })).toEqual(accepted(1))
    })
  })

  describe('receipts', () => {
    it('say where each event stands, and for a duplicate where the first copy does', async () => {
      const { send, log } = aStage()
      const batch = [...events(20), aCloudEvent({ id: 'evt-3' })]
      const answer = await send(batch, { receipts: true })
      if (answer.kind !== 'accepted') throw new Error(answer.kind)
      expect(answer.receipts).toHaveLength(21)
      for (const { id, partition, offset, index } of answer.receipts ?? []) {
        expect(decodePack(log.records[partition]?.[offset] as Uint8Array).events[index]?.id).toBe(id)
      }
      const again = await send(batch, { receipts: true })
      expect(again).toMatchObject({ accepted: 0, duplicates: 21, receipts: answer.receipts })
    })
  })

  describe('bounds', () => {
    it('sheds when more waits for the log than may wait', async () => {
      const { send, log, metrics } = aStage({ queueBytesMax: 2000 })
      log.hold()
      const first = send(events(5))
      const second = send(events(5, { source: '/other' }))
      const shed = await send(events(5, { source: '/third' }))
      expect(shed).toMatchObject({ kind: 'unavailable', code: 'overloaded', retryAfterSeconds: 1 })
      log.release()
      expect(await Promise.all([first, second])).toEqual([accepted(5), accepted(5)])
      expect(metrics.queueBytes()).toBe(0)
      expect(await send(events(5, { source: '/third' }))).toEqual(accepted(5))
    })

    it('does not let a request wait for a log that stands still; its bytes stay counted, and it counts once', async () => {
      const { send, log, metrics } = aStage({ answerMsMax: 20 })
      log.hold()
      const told = { kind: 'unavailable', code: 'logUnavailable', retryAfterSeconds: 2 }
      expect(await send(events(5))).toMatchObject(told)
      expect(metrics.queueBytes()).toBeGreaterThan(0)
      // Sent again with the same ids, it waits for the same copies.
      expect(await send(events(5))).toMatchObject(told)
      log.release()
      expect(await send(events(5))).toEqual({ ...accepted(0), duplicates: 5 })
      expect(log.events()).toHaveLength(5)
      expect(metrics.queueBytes()).toBe(0)
    })

    it('refuses bodies and batches that are too large', async () => {
      const { send } = aStage({ requestBytesMax: 1000, requestEventsMax: 3 })
      expect(await send([aCloudEvent({ data: { a: 'x'.repeat(1000) } })])).toMatchObject({
        code: 'bodyTooLarge',
      })
      expect(await send([1, 2, 3, 4])).toMatchObject({ kind: 'refused', code: 'tooManyEvents' })
    })

    it('stops a compressed bomb', async () => {
      const { send, metrics } = aStage({ requestBytesMax: 100_000 })
      const bomb = gzipSync(Buffer.alloc(10_000_000))
      expect(await send([], { body: bomb, contentEncoding: 'gzip' })).toMatchObject({ code: 'bodyTooLarge' })
      expect(metrics.queueBytes()).toBe(0)
    })
  })

  it('reads compressed bodies', async () => {
    const { send } = aStage()
    const body = gzipSync(JSON.stringify(events(3)))
    expect(await send([], { body, contentEncoding: 'gzip' })).toEqual(accepted(3))
    expect(await send([], { body, contentEncoding: 'zstd' })).toMatchObject({ code: 'unsupportedEncoding' })
    expect(await send([], { body: Buffer.from('[]'), contentEncoding: 'gzip' })).toMatchObject({
      code: 'malformedEncoding',
    })
  })

  it('drains: refuses what comes, answers what was taken', async () => {
    const { ingest, send, log } = aStage()
    log.hold()
    const taken = send(events(10))
    await log.untilHeld()
    let isDrained = false
    const drained = ingest.drain().then(() => (isDrained = true))
    expect(await send(events(1))).toMatchObject({ kind: 'unavailable', code: 'draining' })
    expect(isDrained).toBe(false)
    log.release()
    expect(await taken).toEqual(accepted(10))
    await drained
    await ingest.drain()
  })
})
