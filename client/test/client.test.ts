import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NotRecordedError } from '../src/index.ts'
import { type FaultServer, problem, TAKE } from './support/fault-server.ts'
import { driven, driveUntil, type ManualClock } from './support/manual-clock.ts'
import { aWorld, expectAllStored, recordMany, usage, type World } from './support/world.ts'

let world: World
let server: FaultServer
let clock: ManualClock
beforeEach(async () => {
  world = await aWorld()
  ;({ server, clock } = world)
})
afterEach(() => world.end())

describe('record', () => {
  it('answers with the id and sends a batch with key, media type, id and time', async () => {
    const client = world.client()
    expect(client.record(usage(1))).toEqual({ kind: 'buffered', id: 'evt-1' })
    const drawn = client.record({ type: 'llm.request', subject: 'acme' })
    expect(await driven(clock, client.flush())).toEqual({ left: 0 })
    expect(server.requests).toMatchObject([
      {
        authorization: 'Bearer tm_live_test',
        contentType: 'application/cloudevents-batch+json',
        path: '/v1/events?receipts=true',
        ids: ['evt-1', drawn.id],
      },
    ])
    expect(JSON.parse([...(server.stored.get('/gateway evt-1') ?? [])][0] ?? '')).toEqual({
      specversion: '1.0',
      id: 'evt-1',
      source: '/gateway',
      type: 'llm.request',
      subject: 'acme',
      time: '2026-03-01T12:00:00.000Z',
      data: { tokens: 1 },
    })
  })

  it('refuses a bad event without throwing, tells it once and counts it', () => {
    const client = world.client()
    const recorded = client.record({ type: 'llm.request', subject: 'acme', data: { cost: 0.1 + 0.2 } })
    expect(recorded).toMatchObject({ kind: 'refused', code: 'unsafeNumber', pointer: '/data/cost' })
    expect(world.rejections).toMatchObject([{ code: 'unsafeNumber', body: null }])
    expect(client.stats()).toMatchObject({ recorded: 0, refused: { unsafeNumber: 1 } })
  })

  it('lets events linger, but a full batch goes at once', async () => {
    const client = world.client({ batchEventsMax: 3, lingerMs: 200 })
    recordMany(client, 4)
    await driveUntil(clock, () => server.requests.length === 1, 0)
    expect(server.requests[0]?.ids).toEqual(['evt-0', 'evt-1', 'evt-2'])
    clock.advance(199)
    expect(client.stats().requests).toBe(1)
    clock.advance(1)
    expect(client.stats().requests).toBe(2)
    await driven(clock, client.flush())
    expectAllStored(server, client, 4)
  })

  it('has at most inFlightMax requests under way', async () => {
    server.behave = () => ({ kind: 'takeAndAnswerLate' })
    const client = world.client({ batchEventsMax: 1, inFlightMax: 3 })
    recordMany(client, 10)
    expect(client.stats()).toMatchObject({ inFlight: 3, requests: 3, bufferedEvents: 10 })
    await driveUntil(clock, () => server.requests.length === 3, 0)
    expect(client.stats().requests).toBe(3)
  })
})

describe('recordDurably', () => {
  it('resolves with the receipt when the event is durable', async () => {
    server.behave = (n) => (n === 0 ? { kind: 'takeAndDrop' } : TAKE)
    const client = world.client()
    expect(await driven(clock, client.recordDurably(usage(7)))).toEqual({
      id: 'evt-7',
      receipt: { id: 'evt-7', partition: 0, offset: 1, index: 0 },
    })
  })

  it('fails for an event that the server rejects, and for one that is bad', async () => {
    server.behave = () => ({ kind: 'take', reject: { 'evt-1': 'schemaMismatch' } })
    const client = world.client()
    const failure = driven(clock, client.recordDurably(usage(1)))
    await expect(failure).rejects.toBeInstanceOf(NotRecordedError)
    await expect(failure).rejects.toMatchObject({ id: 'evt-1', code: 'schemaMismatch' })
    await expect(client.recordDurably({ type: '', subject: 'acme' })).rejects.toMatchObject({
      code: 'invalidType',
    })
    expect(world.rejections.map(({ code }) => code)).toEqual(['schemaMismatch', 'invalidType'])
  })
})

describe('flush and close', () => {
  it('flush waits for what was there, not for what comes after', async () => {
    const client = world.client({ batchEventsMax: 1 })
    recordMany(client, 2)
    server.behave = (_, ids) => (ids.includes('later') ? problem(503, 'overloaded') : TAKE)
    const flushed = client.flush()
    client.record({ ...usage(9), id: 'later' })
    expect(await driven(clock, flushed)).toEqual({ left: 0 })
    expect(client.stats().bufferedEvents).toBe(1)
  })

  it('flush answers what is left when its limit is over', async () => {
    server.behave = () => problem(503, 'overloaded')
    const client = world.client()
    recordMany(client, 5)
    expect(await driven(clock, client.flush(3000))).toEqual({ left: 5 })
    expect(client.stats().bufferedEvents).toBe(5)
  })

  it('close drains, then takes nothing any more', async () => {
    const client = world.client()
    recordMany(client, 5)
    const closed = client.close()
    expect(client.record(usage(6))).toMatchObject({ kind: 'refused', code: 'closed' })
    await expect(client.recordDurably(usage(7))).rejects.toMatchObject({ code: 'closed' })
    expect(await driven(clock, closed)).toEqual({ left: 0 })
    expectAllStored(server, client, 5)
    expect(client.close()).toBe(closed)
  })

  it('close does not sleep through its limit after a long outage: it tries at once', async () => {
    server.behave = () => problem(503, 'overloaded')
    const client = world.client()
    recordMany(client, 2)
    await driveUntil(clock, () => client.stats().failuresInARow === 8) // the pause is 15 s now
    server.behave = () => TAKE
    const { requests } = client.stats()
    const closed = client.close(10_000)
    expect(client.stats().requests).toBe(requests + 1)
    expect(await driven(clock, closed)).toEqual({ left: 0 })
  })

  it('close gives up at its limit, tells who waits, and cuts the request that hangs', async () => {
    server.behave = () => ({ kind: 'takeAndAnswerLate' })
    const client = world.client({ bufferEventsMax: 1 })
    const awaited = client.recordDurably(usage(0))
    const blocked = client.recordDurably(usage(1))
    const outcomes = Promise.allSettled([awaited, blocked])
    expect(await driven(clock, client.close(1000))).toEqual({ left: 1 })
    expect(await outcomes).toMatchObject([
      { status: 'rejected', reason: { id: 'evt-0', code: 'closed' } },
      { status: 'rejected', reason: { id: 'evt-1', code: 'closed' } },
    ])
  })
})
