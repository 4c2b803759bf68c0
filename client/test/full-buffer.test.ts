import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FaultServer, problem, TAKE } from './support/fault-server.ts'
import { driven, type ManualClock } from './support/manual-clock.ts'
import { aWorld, expectAllStored, recordMany, usage, type World } from './support/world.ts'

let world: World
let server: FaultServer
let clock: ManualClock
beforeEach(async () => {
  world = await aWorld()
  ;({ server, clock } = world)
})
afterEach(() => world.end())

describe('a full buffer', () => {
  beforeEach(() => {
    server.behave = () => problem(503, 'overloaded')
  })
  const full = { bufferEventsMax: 2, batchEventsMax: 1, inFlightMax: 1 } as const

  it('reject: refuses the new one and says so', () => {
    const client = world.client(full)
    recordMany(client, 2)
    expect(client.record(usage(2))).toMatchObject({ kind: 'refused', id: 'evt-2', code: 'bufferFull' })
    expect(world.rejections).toMatchObject([{ id: 'evt-2', code: 'bufferFull' }])
    expect(client.stats()).toMatchObject({ recorded: 2, refused: { bufferFull: 1 } })
  })

  it('dropOldest: gives up the oldest that is not under way, counted and told', async () => {
    const client = world.client({ ...full, whenFull: 'dropOldest' })
    recordMany(client, 4) // evt-0 is under way
    expect(world.rejections.map(({ id, code }) => [id, code])).toEqual([
      ['evt-1', 'dropped'],
      ['evt-2', 'dropped'],
    ])
    expect(client.stats()).toMatchObject({ recorded: 4, dropped: 2, bufferedEvents: 2 })
    server.behave = () => TAKE
    await driven(clock, client.flush())
    expect([...server.stored.keys()]).toEqual(expect.arrayContaining(['/gateway evt-0', '/gateway evt-3']))
  })

  it('dropOldest: spares what somebody awaits', async () => {
    const client = world.client({ ...full, whenFull: 'dropOldest' })
    recordMany(client, 1)
    const awaited = client.recordDurably(usage(1))
    expect(client.record(usage(2))).toMatchObject({ kind: 'refused', code: 'bufferFull' })
    const failed = expect(awaited).rejects.toMatchObject({ code: 'closed' })
    await driven(clock, client.close(0))
    await failed
  })

  it('block: recordDurably waits for room, in turn', async () => {
    const client = world.client(full)
    const order: string[] = []
    const all = [0, 1, 2, 3, 4].map(async (n) => {
      const { id } = await client.recordDurably(usage(n))
      order.push(id)
    })
    expect(client.stats()).toMatchObject({ recorded: 2, blocked: 3 })
    server.behave = () => TAKE
    await driven(clock, Promise.all(all))
    expect(order.slice(2)).toEqual(['evt-2', 'evt-3', 'evt-4'])
    expectAllStored(server, client, 5)
  })

  it('reject: recordDurably fails at once when it is told so', async () => {
    const client = world.client({ ...full, whenFullAwaited: 'reject' })
    recordMany(client, 2)
    await expect(client.recordDurably(usage(2))).rejects.toMatchObject({ code: 'bufferFull', id: 'evt-2' })
  })

  it('counts bytes, too', () => {
    const client = world.client({ bufferBytesMax: 131_072 })
    const large = { type: 'llm.request', subject: 'acme', data: { text: 'x'.repeat(60_000) } }
    expect(
      [client.record(large), client.record(large), client.record(large)].map(({ kind }) => kind),
    ).toEqual(['buffered', 'buffered', 'refused'])
  })
})
