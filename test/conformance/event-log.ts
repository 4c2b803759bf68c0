import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LogError, type EventLog } from '../../src/usage/event-log.ts'
import { bytesOf as bytes, Collector, textOf as text } from '../support/collector.ts'

/** What a suite needs of an implementation. */
export interface EventLogUnderTest {
  readonly log: EventLog
  /** Closes the log and opens it on the same data. Null where data ends with the log. */
  readonly reopen: (() => Promise<EventLog>) | null
  readonly dispose: () => Promise<void>
}

const DAY_MS = 86_400_000
let topics = 0

/** Holds an implementation of the port to what the port says. */
export function describeEventLog(name: string, make: () => Promise<EventLogUnderTest>): void {
  describe(`EventLog: ${name}`, () => {
    let given: EventLogUnderTest
    let log: EventLog
    beforeAll(async () => {
      given = await make()
      log = given.log
    })
    afterAll(() => given.dispose())

    async function topic(partitions: number): Promise<string> {
      const topicName = `conformance.${process.pid}.${++topics}`
      await log.ensureTopic({ name: topicName, partitions, retentionMs: 30 * DAY_MS })
      return topicName
    }

    async function append(topicName: string, partition: number, ...texts: string[]): Promise<void> {
      const outcomes = await log.append(
        topicName,
        texts.map((value) => ({ partition, value: bytes(value) })),
      )
      expect(outcomes.map((outcome) => outcome.kind)).toEqual(texts.map(() => 'appended'))
    }

    function fromStart(
      topicName: string,
      group: string,
      collector: Collector,
    ): Parameters<EventLog['consume']>[0] {
      return {
        topic: topicName,
        group,
        resumeAt: async () => 0,
        onBatch: collector.take,
        onFatal: collector.fail,
      }
    }

    it('L1: appends in order, with dense offsets from 0 in each partition, outcomes at the index of their record', async () => {
      const events = await topic(3)
      const outcomes = await log.append(events, [
        { partition: 2, value: bytes('a') },
        { partition: 0, value: bytes('b') },
        { partition: 2, value: bytes('c') },
      ])
      expect(outcomes).toEqual([
        { kind: 'appended', partition: 2, offset: 0 },
        { kind: 'appended', partition: 0, offset: 0 },
        { kind: 'appended', partition: 2, offset: 1 },
      ])
      expect(await log.append(events, [{ partition: 2, value: bytes('d') }])).toEqual([
        { kind: 'appended', partition: 2, offset: 2 },
      ])
      expect((await log.read(events, 2, 0, 1_000_000)).map(text)).toEqual(['a', 'c', 'd'])
      expect((await log.read(events, 0, 0, 1_000_000)).map(text)).toEqual(['b'])
      expect(await log.read(events, 1, 0, 1_000_000)).toEqual([])
    })

    it('an append of nothing is no append', async () => {
      const events = await topic(1)
      expect(await log.append(events, [])).toEqual([])
      expect(await log.endOffsets(events)).toEqual([{ partition: 0, offset: 0 }])
    })

    it('says where each partition starts and ends', async () => {
      const events = await topic(3)
      await append(events, 1, 'a', 'b')
      expect(await log.startOffsets(events)).toEqual([0, 1, 2].map((partition) => ({ partition, offset: 0 })))
      expect(await log.endOffsets(events)).toEqual([
        { partition: 0, offset: 0 },
        { partition: 1, offset: 2 },
        { partition: 2, offset: 0 },
      ])
    })

    it('keeps every byte of a record, and stamps when it was appended', async () => {
      const events = await topic(1)
      const value = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff)
      const before = Date.now()
      await log.append(events, [{ partition: 0, value }])
      const [record] = await log.read(events, 0, 0, 1)
      expect(Buffer.compare(Buffer.from(record?.value ?? []), Buffer.from(value))).toBe(0)
      expect(record?.appendedAt).toBeGreaterThanOrEqual(before - 5000)
      expect(record?.appendedAt).toBeLessThanOrEqual(Date.now() + 5000)
    })

    it('keeps a view of a larger buffer as that view, and what was read stays as it was', async () => {
      const events = await topic(1)
      const whole = bytes('before|record|after')
      await log.append(events, [{ partition: 0, value: whole.subarray(7, 13) }])
      await append(events, 0, 'other')
      const first = await log.read(events, 0, 0, 1)
      await log.read(events, 0, 1, 1)
      expect(first.map(text)).toEqual(['record'])
    })

    it('reads from an offset on, about as many bytes as asked, at least one record, nothing at the end', async () => {
      const events = await topic(1)
      await append(events, 0, ...Array.from({ length: 20 }, (_, i) => `${i}`.padStart(1000, ' ')))
      const some = await log.read(events, 0, 5, 3500)
      expect(some.map((record) => record.offset)).toEqual([5, 6, 7, 8])
      expect((await log.read(events, 0, 5, 1)).map((record) => record.offset)).toEqual([5])
      expect(await log.read(events, 0, 20, 1000)).toEqual([])
    })

    it('refuses to read outside of the log instead of jumping to where it can', async () => {
      const events = await topic(1)
      await append(events, 0, 'a')
      await expect(log.read(events, 0, 2, 1000)).rejects.toMatchObject({
        code: 'outOfRange',
        retryable: false,
      })
      await expect(log.read(events, 0, -1, 1000)).rejects.toMatchObject({ code: 'outOfRange' })
      await expect(log.read(events, 0, 0.5, 1000)).rejects.toMatchObject({ code: 'outOfRange' })
    })

    it('knows its topics: the same partitions again is fine, others are refused, an unknown name is said', async () => {
      const events = await topic(2)
      await log.ensureTopic({ name: events, partitions: 2, retentionMs: 30 * DAY_MS })
      await expect(log.ensureTopic({ name: events, partitions: 3, retentionMs: null })).rejects.toMatchObject(
        {
          code: 'partitionMismatch',
        },
      )
      await expect(log.append('no.such.topic', [{ partition: 0, value: bytes('a') }])).rejects.toMatchObject({
        code: 'unknownTopic',
      })
      await expect(log.endOffsets('no.such.topic')).rejects.toBeInstanceOf(LogError)
    })

    it('refuses a record that cannot be, before anything is written', async () => {
      const events = await topic(1)
      const good = { partition: 0, value: bytes('a') }
      await expect(log.append(events, [good, { partition: 1, value: bytes('b') }])).rejects.toBeInstanceOf(
        RangeError,
      )
      await expect(
        log.append(events, [good, { partition: 0, value: new Uint8Array(2_000_000) }]),
      ).rejects.toBeInstanceOf(RangeError)
      expect(await log.endOffsets(events)).toEqual([{ partition: 0, offset: 0 }])
    })

    it('many appends at once each get their own offsets, and keep their order within a partition', async () => {
      const events = await topic(4)
      const all = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          log.append(events, [
            { partition: i % 4, value: bytes(`${i}a`) },
            { partition: i % 4, value: bytes(`${i}b`) },
          ]),
        ),
      )
      const taken = new Set<string>()
      for (const outcomes of all) {
        for (const outcome of outcomes) {
          if (outcome.kind === 'failed') throw new Error(outcome.reason)
          taken.add(`${outcome.partition}/${outcome.offset}`)
        }
      }
      expect(taken.size).toBe(400)
      expect((await log.endOffsets(events)).map(({ offset }) => offset)).toEqual([100, 100, 100, 100])
      for (const [i, outcomes] of all.entries()) {
        for (const [j, outcome] of outcomes.entries()) {
          if (outcome.kind === 'failed') throw new Error(outcome.reason)
          const [record] = await log.read(events, outcome.partition, outcome.offset, 1)
          expect(text(record)).toBe(`${i}${j === 0 ? 'a' : 'b'}`)
        }
      }
    })

    it('L5: delivers what is there and then what comes, in order, without a hole', async () => {
      const events = await topic(2)
      await append(events, 0, 'a', 'b')
      const collector = new Collector()
      const consumer = await log.consume(fromStart(events, 'delivers', collector))
      await collector.until(() => collector.count === 2)
      await append(events, 1, 'c')
      await append(events, 0, 'd')
      await collector.until(() => collector.count === 4)
      expect(consumer.assigned()).toEqual([0, 1])
      await consumer.stop()
      expect(collector.texts(0)).toEqual(['a', 'b', 'd'])
      expect(collector.records.get(0)?.map((record) => record.offset)).toEqual([0, 1, 2])
      expect(collector.texts(1)).toEqual(['c'])
      expect(collector.failures).toEqual([])
    })

    it('begins where the consumer says, whatever was committed', async () => {
      const events = await topic(1)
      await append(events, 0, 'a', 'b', 'c', 'd')
      const first = new Collector()
      const earlier = await log.consume(fromStart(events, 'resumes', first))
      await first.until(() => first.count === 4)
      await earlier.commit([{ partition: 0, offset: 4 }])
      await earlier.stop()
      const second = new Collector()
      const later = await log.consume({ ...fromStart(events, 'resumes', second), resumeAt: async () => 1 })
      await second.until(() => second.count === 3)
      await later.stop()
      expect(second.texts(0)).toEqual(['b', 'c', 'd'])
    })

    it('delivers again from the position, not beyond it, when a handler has failed', async () => {
      const events = await topic(1)
      await append(events, 0, 'a', 'b')
      const collector = new Collector()
      let durable = 0
      let attempts = 0
      const consumer = await log.consume({
        ...fromStart(events, 'redelivers', collector),
        resumeAt: async () => durable,
        onBatch: async (batch) => {
          if (++attempts <= 2) throw new Error('the store is away')
          durable = (batch.records.at(-1)?.offset ?? 0) + 1
          await collector.take(batch)
        },
      })
      await collector.until(() => collector.count === 2)
      await append(events, 0, 'c')
      await collector.until(() => collector.count === 3)
      await consumer.stop()
      expect(collector.texts(0)).toEqual(['a', 'b', 'c'])
      expect(attempts).toBe(4)
      expect(collector.failures).toEqual([])
    })

    it('asks for the position again when it could not be told', async () => {
      const events = await topic(1)
      await append(events, 0, 'a', 'b')
      const collector = new Collector()
      let asked = 0
      const consumer = await log.consume({
        ...fromStart(events, 'asks again', collector),
        resumeAt: async () => {
          if (++asked <= 2) throw new Error('the journal is away')
          return 1
        },
      })
      await collector.until(() => collector.count === 1)
      await consumer.stop()
      expect(collector.texts(0)).toEqual(['b'])
      expect(asked).toBe(3)
    })

    it('L5: delivers a backlog in batches of bounded size, one at a time for each partition', async () => {
      const events = await topic(2)
      const value = new Uint8Array(100_000).fill(1)
      for (let round = 0; round < 12; round++) {
        const outcomes = await log.append(
          events,
          Array.from({ length: 20 }, (_, i) => ({ partition: i % 2, value })),
        )
        expect(outcomes.every(({ kind }) => kind === 'appended')).toBe(true)
      }
      const collector = new Collector()
      const running = new Map<number, number>()
      let largest = 0
      let batches = 0
      const consumer = await log.consume({
        ...fromStart(events, 'backlog', collector),
        onBatch: async (batch) => {
          const { partition, records } = batch
          running.set(partition, (running.get(partition) ?? 0) + 1)
          expect(running.get(partition)).toBe(1)
          largest = Math.max(largest, records.length)
          batches++
          await new Promise((resolve) => setImmediate(resolve))
          running.set(partition, 0)
          await collector.take(batch)
        },
      })
      await collector.until(() => collector.count === 240)
      await consumer.stop()
      // 4 MiB hold 42 of these records, and one more may begin below the bound.
      expect(largest).toBeLessThanOrEqual(43)
      expect(batches).toBeGreaterThanOrEqual(6)
      for (const partition of [0, 1]) {
        expect(collector.records.get(partition)?.map(({ offset }) => offset)).toEqual(
          Array.from({ length: 120 }, (_, i) => i),
        )
      }
    })

    it('goes on with other partitions while the handler of one fails', async () => {
      const events = await topic(2)
      await append(events, 0, 'stuck')
      await append(events, 1, 'a')
      const collector = new Collector()
      let isMended = false
      const consumer = await log.consume({
        ...fromStart(events, 'isolates', collector),
        onBatch: async (batch) => {
          if (batch.partition === 0 && !isMended) throw new Error('only this one')
          await collector.take(batch)
        },
      })
      await collector.until(() => collector.texts(1).length === 1)
      await append(events, 1, 'b')
      await collector.until(() => collector.texts(1).length === 2)
      isMended = true
      await collector.until(() => collector.texts(0).length === 1)
      await consumer.stop()
      expect(collector.texts(1)).toEqual(['a', 'b'])
    })

    it('L5: stops a consumer whose position lies beyond the log, instead of letting it skip', async () => {
      const events = await topic(1)
      await append(events, 0, 'a')
      const collector = new Collector()
      const consumer = await log.consume({
        ...fromStart(events, 'beyond', collector),
        resumeAt: async () => 7,
      })
      await collector.until(() => collector.failures.length > 0)
      expect(collector.failures).toHaveLength(1)
      expect(collector.failures[0]).toMatchObject({ code: 'outOfRange' })
      expect(collector.count).toBe(0)
      await consumer.stop()
    })

    it('two consumers of a group share the partitions; when one stops the other has all', async () => {
      const events = await topic(4)
      for (let partition = 0; partition < 4; partition++)
        await append(events, partition, `first ${partition}`)
      const positions = new Map<number, number>()
      const handledBy = { one: new Collector(), two: new Collector() }
      const join = (collector: Collector): ReturnType<EventLog['consume']> =>
        log.consume({
          ...fromStart(events, 'shares', collector),
          resumeAt: async (partition) => positions.get(partition) ?? 0,
          onBatch: async (batch) => {
            positions.set(batch.partition, (batch.records.at(-1)?.offset ?? 0) + 1)
            await collector.take(batch)
          },
        })
      const one = await join(handledBy.one)
      await handledBy.one.until(() => handledBy.one.count === 4)
      const two = await join(handledBy.two)
      // The share may come a moment after the second has joined; every batch asks again.
      for (let round = 0; two.assigned().length !== 2 || one.assigned().length !== 2; round++) {
        expect(round).toBeLessThan(2000)
        await append(events, round % 4, `tick ${round}`)
      }
      expect([...one.assigned(), ...two.assigned()].sort()).toEqual([0, 1, 2, 3])
      const [ownOfTwo] = two.assigned()
      await append(events, ownOfTwo ?? 0, 'for two')
      await handledBy.two.until(() => handledBy.two.texts(ownOfTwo ?? 0).includes('for two'))
      await one.stop()
      expect(one.assigned()).toEqual([])
      for (let partition = 0; partition < 4; partition++) await append(events, partition, `last ${partition}`)
      await handledBy.two.until(() =>
        [0, 1, 2, 3].every((partition) => handledBy.two.texts(partition).includes(`last ${partition}`)),
      )
      expect(two.assigned()).toEqual([0, 1, 2, 3])
      await two.stop()
      for (let partition = 0; partition < 4; partition++) {
        const seen = [handledBy.one, handledBy.two].flatMap(
          (collector) => collector.records.get(partition) ?? [],
        )
        const offsets = new Set(seen.map((record) => record.offset))
        const end = (await log.endOffsets(events))[partition]?.offset ?? 0
        expect(offsets.size).toBe(end)
      }
    })

    it('consumers of different groups each get everything', async () => {
      const events = await topic(1)
      const [one, two] = [new Collector(), new Collector()]
      const consumers = [
        await log.consume(fromStart(events, 'group one', one)),
        await log.consume(fromStart(events, 'group two', two)),
      ]
      await append(events, 0, 'a')
      await Promise.all([one.until(() => one.count === 1), two.until(() => two.count === 1)])
      await Promise.all(consumers.map((consumer) => consumer.stop()))
      expect([one.texts(0), two.texts(0)]).toEqual([['a'], ['a']])
    })

    it('L7: remembers committed positions of assigned partitions, and of no others', async () => {
      const events = await topic(2)
      await append(events, 1, 'a', 'b')
      expect(await log.committed(events, 'commits')).toEqual([])
      const collector = new Collector()
      const consumer = await log.consume(fromStart(events, 'commits', collector))
      await collector.until(() => collector.count === 2)
      await consumer.commit([{ partition: 1, offset: 1 }])
      await consumer.commit([
        { partition: 1, offset: 2 },
        { partition: 7, offset: 9 },
      ])
      expect(await log.committed(events, 'commits')).toEqual([{ partition: 1, offset: 2 }])
      await consumer.stop()
      await consumer.commit([{ partition: 1, offset: 0 }])
      expect(await log.committed(events, 'commits')).toEqual([{ partition: 1, offset: 2 }])
    })

    it('stop waits for the handler that runs and delivers nothing after it', async () => {
      const events = await topic(1)
      await append(events, 0, 'a')
      const collector = new Collector()
      const steps: string[] = []
      let release: () => void = () => undefined
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      const consumer = await log.consume({
        ...fromStart(events, 'stops', collector),
        onBatch: async (batch) => {
          await collector.take(batch)
          await held
          steps.push('handled')
        },
      })
      await collector.until(() => collector.count === 1)
      await append(events, 0, 'b')
      const stopped = consumer.stop().then(() => steps.push('stopped'))
      release()
      await stopped
      expect(steps).toEqual(['handled', 'stopped'])
      expect(collector.texts(0)).toEqual(['a'])
      await consumer.stop()
    })

    it('L2: keeps everything over a restart', async () => {
      const events = await topic(2)
      await append(events, 0, 'a', 'b')
      await append(events, 1, 'c')
      const collector = new Collector()
      const consumer = await log.consume(fromStart(events, 'restarts', collector))
      await collector.until(() => collector.count === 3)
      await consumer.commit([{ partition: 0, offset: 2 }])
      await consumer.stop()
      if (given.reopen === null) {
        expect(log.kind).toBe('memory')
        return
      }
      log = await given.reopen()
      expect(await log.endOffsets(events)).toEqual([
        { partition: 0, offset: 2 },
        { partition: 1, offset: 1 },
      ])
      expect((await log.read(events, 0, 0, 1_000_000)).map(text)).toEqual(['a', 'b'])
      expect(await log.committed(events, 'restarts')).toEqual([{ partition: 0, offset: 2 }])
      await append(events, 0, 'd')
      expect((await log.read(events, 0, 2, 1_000_000)).map(text)).toEqual(['d'])
    })

    it('is closed once: what comes later is refused, and closing again is fine', async () => {
      const events = await topic(1)
      const collector = new Collector()
      await log.consume(fromStart(events, 'closes', collector))
      await log.close()
      await expect(log.append(events, [{ partition: 0, value: bytes('a') }])).rejects.toMatchObject({
        code: 'closed',
      })
      await expect(log.endOffsets(events)).rejects.toMatchObject({ code: 'closed' })
      await log.close()
      expect(collector.failures).toEqual([])
    })
  })
}
