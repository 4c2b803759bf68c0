import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { agreeOnVersions } from '../../src/log/kafka/api-versions.ts'
import { type PendingAppend, settlePart, splitAppend } from '../../src/log/kafka/append-part.ts'
import { assign } from '../../src/log/kafka/group-protocol.ts'
import { brokerFault, KafkaFault } from '../../src/log/kafka/kafka-fault.ts'
import { PartitionQueue } from '../../src/log/kafka/partition-queue.ts'
import { WIRE_BATCH_BYTES_MAX } from '../../src/log/kafka/settings.ts'
import { judgeTopic, settingsOfNewTopic } from '../../src/log/kafka/topic-settings.ts'
import type { AppendOutcome } from '../../src/usage/event-log.ts'

/** What Apache Kafka 4.3.1 answered to ApiVersions, for what we use. */
const KAFKA_4_3 = [
  [0, 0, 13],
  [1, 4, 18],
  [2, 1, 11],
  [3, 0, 13],
  [8, 2, 10],
  [9, 1, 10],
  [10, 0, 6],
  [11, 0, 9],
  [12, 0, 4],
  [13, 0, 5],
  [14, 0, 5],
  [18, 0, 4],
  [19, 2, 7],
  [32, 1, 4],
].map(([apiKey = 0, minVersion = 0, maxVersion = 0]) => ({ apiKey, minVersion, maxVersion }))

describe('versions of the protocol', () => {
  it('are the newest that kafkajs and the broker share', () => {
    const agreed = agreeOnVersions('broker', KAFKA_4_3)
    expect(agreed.get('Produce')).toBe(7)
    expect(agreed.get('Fetch')).toBe(11)
    expect(agreed.get('JoinGroup')).toBe(5)
    expect(agreed.get('OffsetCommit')).toBe(5)
  })

  it('a broker that has dropped what kafkajs speaks is refused by name, where kafkajs would go on', () => {
    const future = KAFKA_4_3.map((range) => (range.apiKey === 0 ? { ...range, minVersion: 9 } : range))
    expect(() => agreeOnVersions('broker', future)).toThrow(/Produce: the broker speaks 9 to 13/)
    const lacking = KAFKA_4_3.filter(({ apiKey }) => apiKey !== 19)
    expect(() => agreeOnVersions('broker', lacking)).toThrow(/CreateTopics: the broker does not offer it/)
    expect(() => agreeOnVersions('broker', lacking)).toThrow(
      expect.objectContaining({ code: 'unsafeSettings', retryable: false }) as Error,
    )
  })
})

describe('the parts of an append', () => {
  it('hold every record once, in order within a partition, in batches of bounded size', () => {
    const record = fc.record({ partition: fc.nat(3), size: fc.integer({ min: 1, max: 900_000 }) })
    fc.assert(
      fc.property(fc.array(record, { maxLength: 12 }), (sizes) => {
        let settled: readonly AppendOutcome[] | null = null
        const append: PendingAppend = {
          topic: 't',
          outcomes: [],
          left: sizes.length,
          resolve: (outcomes) => (settled = outcomes),
        }
        const parts = splitAppend(
          append,
          sizes.map(({ partition, size }) => ({ partition, value: new Uint8Array(size) })),
        )
        expect(parts.flatMap(({ indexes }) => indexes).sort((a, b) => a - b)).toEqual(sizes.map((_, i) => i))
        for (const part of parts) {
          expect(part.bytes).toBeLessThanOrEqual(WIRE_BATCH_BYTES_MAX)
          expect([...part.indexes].sort((a, b) => a - b)).toEqual(part.indexes)
        }
        for (let partition = 0; partition < 4; partition++) {
          const indexes = parts.filter((part) => part.partition === partition).flatMap((part) => part.indexes)
          expect([...indexes].sort((a, b) => a - b)).toEqual(indexes)
        }
        for (const part of parts) {
          settlePart(part, (position) => ({
            kind: 'appended',
            partition: part.partition,
            offset: part.indexes[position] ?? -1,
          }))
        }
        if (sizes.length > 0) {
          expect(settled).toEqual(
            sizes.map(({ partition }, offset) => ({ kind: 'appended', partition, offset })),
          )
        }
      }),
    )
  })
})

describe('what waits for a partition', () => {
  function queued(queue: PartitionQueue, name: string, settled: [string, AppendOutcome][]): void {
    const append: PendingAppend = {
      topic: 't',
      outcomes: [],
      left: 1,
      resolve: ([outcome]) => outcome !== undefined && settled.push([name, outcome]),
    }
    for (const part of splitAppend(append, [{ partition: 0, value: Buffer.from(name) }])) queue.add(part)
  }
  const sent = (queue: PartitionQueue): string[] => queue.messages.map(({ value }) => value.toString())
  const passing = new KafkaFault('cut', { isInDoubt: true })

  it('L4: is sent again with the same bytes, whatever has come behind it', () => {
    const queue = new PartitionQueue('t', 0)
    const settled: [string, AppendOutcome][] = []
    queued(queue, 'a', settled)
    queued(queue, 'b', settled)
    queue.take(0)
    expect(queue.isReady).toBe(false)
    expect(queue.pause(10, 2000, passing)).toBe(25)
    queued(queue, 'c', settled)
    expect(queue.isReady).toBe(false)
    queue.resume()
    expect(queue.isReady).toBe(true)
    queue.take(40)
    expect(sent(queue)).toEqual(['a', 'b'])
    queue.appended(7)
    expect(settled).toEqual([
      ['a', { kind: 'appended', partition: 0, offset: 7 }],
      ['b', { kind: 'appended', partition: 0, offset: 8 }],
    ])
    queue.take(50)
    expect(sent(queue)).toEqual(['c'])
  })

  it('L3: is given up when the time is over; only what was sent is in doubt', () => {
    const queue = new PartitionQueue('t', 0)
    queued(queue, 'sent', [])
    queue.take(1000)
    expect(queue.pause(1500, 2000, passing)).toBe(25)
    queue.resume()
    queued(queue, 'behind', [])
    queue.take(2500)
    const refused = brokerFault('append', 6)
    expect(queue.pause(2990, 2000, refused)).toBeNull()
    const { parts, isInDoubt } = queue.giveUp(refused)
    expect(parts.map((part) => [part.messages[0]?.value.toString(), isInDoubt(part)])).toEqual([
      ['sent', true], // the first attempt was in doubt, and the refusal of the second does not tell
      ['behind', false],
    ])
    expect(queue.isReady).toBe(false)
  })
})

describe('faults', () => {
  it.each([
    { code: 6, isStale: true, isPassing: true, isInDoubt: false },
    { code: 7, isStale: false, isPassing: true, isInDoubt: true },
    { code: 10, isStale: false, isPassing: false, isInDoubt: false },
    { code: 19, isStale: false, isPassing: true, isInDoubt: false },
    { code: 20, isStale: false, isPassing: true, isInDoubt: true },
    { code: 29, isStale: false, isPassing: false, isInDoubt: false },
    { code: -1, isStale: false, isPassing: false, isInDoubt: true },
  ])('code $code', ({ code, ...nature }) => {
    expect(brokerFault('append', code)).toMatchObject(nature)
  })
})

describe('the leader of a group', () => {
  it('gives each partition of a topic to one member that wants it, as evenly as can be', () => {
    const members = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(members, fc.nat(20), (ids, count) => {
        const assigned = assign(
          ids.map((memberId) => ({ memberId, topics: ['t'] })),
          new Map([['t', count]]),
        )
        const shares = ids.map((id) => assigned.get(id)?.['t'] ?? [])
        expect(shares.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i))
        const sizes = shares.map(({ length }) => length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('gives no partition to a member that reads another topic', () => {
    const assigned = assign(
      [
        { memberId: 'a', topics: ['t'] },
        { memberId: 'b', topics: ['u'] },
      ],
      new Map([
        ['t', 2],
        ['u', 1],
      ]),
    )
    expect([assigned.get('a'), assigned.get('b')]).toEqual([{ t: [0, 1] }, { u: [0] }])
  })
})

describe('settings of topics', () => {
  const settings = (replicas: number): Map<string, string> =>
    new Map(
      settingsOfNewTopic({ name: 't', partitions: 1, retentionMs: 30 * 86_400_000 }, replicas).map(
        ({ name, value }) => [name, value],
      ),
    )
  const failed = (replicas: number, over: Record<string, string>): string[] =>
    judgeTopic('t', replicas, new Map([...settings(replicas), ...Object.entries(over)]))
      .filter(({ status }) => status === 'failed')
      .map(({ name }) => name)

  it.each([1, 2, 3])('what is made with %i replicas passes its own judgement', (replicas) => {
    expect(failed(replicas, {})).toEqual([])
  })

  it.each([
    { over: { 'cleanup.policy': 'compact' }, name: 't: cleanup.policy' },
    { over: { 'cleanup.policy': 'compact,delete' }, name: 't: cleanup.policy' },
    { over: { 'min.insync.replicas': '1' }, name: 't: min.insync.replicas' },
    { over: { 'unclean.leader.election.enable': 'true' }, name: 't: unclean.leader.election.enable' },
    { over: { 'max.message.bytes': '100000' }, name: 't: max.message.bytes' },
  ])('$over is refused', ({ over, name }) => {
    expect(failed(3, over)).toEqual([name])
  })

  it.each([
    { replicas: 3, over: { 'retention.ms': '3600000' }, name: 't: retention.ms' },
    { replicas: 3, over: { 'retention.bytes': '1000000' }, name: 't: retention.bytes' },
    { replicas: 3, over: { 'message.timestamp.type': 'CreateTime' }, name: 't: message.timestamp.type' },
    { replicas: 1, over: { 'flush.messages': '9223372036854775807' }, name: 't: flush.messages' },
  ])('$over is a warning', ({ replicas, over, name }) => {
    const warnings = judgeTopic('t', replicas, new Map([...settings(replicas), ...Object.entries(over)]))
      .filter(({ status }) => status === 'warning')
      .map((check) => check.name)
    expect(warnings).toEqual(replicas === 1 ? ['t: replication', name] : [name])
  })
})
