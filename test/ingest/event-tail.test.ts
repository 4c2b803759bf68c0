import { describe, expect, it } from 'vitest'
import { createEventTail, type TailClient, type TailMessage } from '../../src/ingest/event-tail.ts'
import type { TenantId } from '../../src/id/ids.ts'
import { createMemoryLog } from '../../src/log/memory-log.ts'
import { TOPIC_EVENTS } from '../../src/usage/topics.ts'
import { aUsageEvent, ensureUsageTopics, packBytes } from '../support/usage-packs.ts'

const noFault = (error: unknown): void => {
  throw error
}
const { tenant, type, subject } = aUsageEvent()

async function aTail(limits = {}) {
  const log = createMemoryLog()
  await ensureUsageTopics(log)
  const tail = createEventTail({ log, onFault: noFault, limits: { pauseMs: 1, ...limits } })
  const append = (...events: readonly ReturnType<typeof aUsageEvent>[]) =>
    log.append(TOPIC_EVENTS, [{ partition: 0, value: packBytes(events) }])
  return { tail, append }
}

const idOf = (message: TailMessage): unknown =>
  message.kind === 'event' ? (JSON.parse(message.json) as { readonly id: unknown }).id : message.kind
const opened = (client: TailClient | null): TailClient => {
  if (client === null) throw new Error('not opened')
  return client
}

describe('the tail of accepted events', () => {
  it('begins with what comes after it was opened, and only what was asked for', async () => {
    const { tail, append } = await aTail()
    await append(aUsageEvent({ id: 'before' }))
    const all = opened(await tail.open({ tenant }))
    const some = opened(await tail.open({ tenant, type, subject: 'nobody' }))
    const others = opened(await tail.open({ tenant: 'ten_other' as TenantId }))
    await append(aUsageEvent({ id: 'a' }), aUsageEvent({ id: 'b' }))
    expect([idOf(await all.next()), idOf(await all.next())]).toEqual(['a', 'b'])
    await tail.stop()
    expect([await all.next(), await some.next(), await others.next()].map(idOf)).toEqual([
      ...['stopped', 'stopped', 'stopped'],
    ])
    expect(await tail.open({ tenant, subject })).toBeNull()
  })

  it('drops a client that does not read, with a message, and not the others', async () => {
    const { tail, append } = await aTail({ clientBytesMax: 1000 })
    const slow = opened(await tail.open({ tenant }))
    const quick = opened(await tail.open({ tenant }))
    for (let i = 0; i < 10; i++) {
      await append(aUsageEvent({ id: `e${i}` }))
      expect(idOf(await quick.next())).toBe(`e${i}`)
    }
    expect(idOf(await slow.next())).toBe('dropped')
    await tail.stop()
  })

  it('says how much it left out where the log grew too fast, and bounds its clients', async () => {
    const { tail, append } = await aTail({ lagRecordsMax: 2, clientsMax: 1 })
    const client = opened(await tail.open({ tenant }))
    expect(await tail.open({ tenant })).toBeNull()
    // All within one turn of the reader.
    await Promise.all([1, 2, 3].map((i) => append(aUsageEvent({ id: `e${i}` }))))
    const first = await client.next()
    expect(first).toEqual({ kind: 'skipped', records: 3 })
    client.close()
    expect(await tail.open({ tenant })).not.toBeNull()
    await tail.stop()
  })
})
