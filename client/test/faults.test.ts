import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FaultServer, PASSING_FAULTS, problem, TAKE } from './support/fault-server.ts'
import { driven, driveUntil, type ManualClock } from './support/manual-clock.ts'
import { aWorld, expectAllStored, recordMany, type World } from './support/world.ts'

let world: World
let server: FaultServer
let clock: ManualClock
beforeEach(async () => {
  world = await aWorld()
  ;({ server, clock } = world)
})
afterEach(() => world.end())

describe('what goes wrong on the way', () => {
  it.each(PASSING_FAULTS)('%s: sent again, the same bytes, counted once', async (_, behaviour) => {
    server.behave = (n) => (n < 2 ? behaviour : TAKE)
    const client = world.client()
    recordMany(client, 3)
    expect(await driven(clock, client.flush())).toEqual({ left: 0 })
    expectAllStored(server, client, 3)
    expect(client.stats()).toMatchObject({ requests: 3, retries: 2, failuresInARow: 0 })
    expect(world.rejections).toEqual([])
    expect(world.faults).toHaveLength(1)
  })

  it('reads no more of an answer than an answer can be', async () => {
    server.behave = (n) => (n === 0 ? { kind: 'takeAndGarble', body: ' '.repeat(17_000_000) } : TAKE)
    const client = world.client()
    recordMany(client, 1)
    await driven(clock, client.flush())
    expectAllStored(server, client, 1)
    expect(world.faults).toMatchObject([
      { code: 'unreachable', detail: 'The answer is longer than 16777216 bytes.' },
    ])
  })

  it('waits out Retry-After', async () => {
    server.behave = (n) => (n === 0 ? problem(503, 'draining', { 'retry-after': '7' }) : TAKE)
    const client = world.client({ retryBaseMs: 500 })
    recordMany(client, 1)
    const flushed = client.flush()
    await driveUntil(clock, () => world.faults.length === 1, 0)
    expect(world.faults).toEqual([{ code: 'unavailable', detail: 'Because draining.', retryInMs: 7250 }])
    clock.advance(7249)
    expect(client.stats().requests).toBe(1)
    clock.advance(1)
    expect(client.stats().requests).toBe(2)
    await driven(clock, flushed)
  })

  it('sends one request at a time during an outage, and tells it once', async () => {
    let isDown = true
    server.behave = () => (isDown ? problem(503, 'logUnavailable') : TAKE)
    const client = world.client({ batchEventsMax: 1, inFlightMax: 4 })
    recordMany(client, 12)
    await driveUntil(clock, () => client.stats().failuresInARow === 3)
    expect(client.stats().inFlight).toBeLessThanOrEqual(1)
    expect(world.faults).toHaveLength(1)
    isDown = false
    await driven(clock, client.flush())
    expectAllStored(server, client, 12)
  })

  it('is not held up by a batch that the server cannot take', async () => {
    server.behave = (_, ids) => (ids.includes('evt-0') ? problem(500, 'internal') : TAKE)
    const client = world.client({ batchEventsMax: 1, inFlightMax: 2 })
    recordMany(client, 6)
    await driveUntil(clock, () => client.stats().durable === 5)
    expect(client.stats().bufferedEvents).toBe(1)
    expect(server.stored.size).toBe(5)
  })

  it('tells a rejected event once with its code and sends it never again', async () => {
    server.behave = () => ({ kind: 'take', reject: { 'evt-1': 'tooOld' } })
    const client = world.client()
    recordMany(client, 3)
    await driven(clock, client.flush())
    expect(world.rejections).toMatchObject([{ id: 'evt-1', code: 'tooOld', detail: 'Because tooOld.' }])
    expect(client.stats()).toMatchObject({ durable: 2, rejected: 1, bufferedEvents: 0, requests: 1 })
  })

  it.each([
    ['413', { kind: 'answer', status: 413, body: 'too large' }, 'bodyTooLarge'],
    ['400 with a code', problem(400, 'malformedJson'), 'malformedJson'],
  ] as const)('splits a batch on %s until one event is left to blame', async (_, refusal, code) => {
    server.behave = (__, ids) => (ids.includes('evt-5') ? refusal : TAKE)
    const client = world.client()
    recordMany(client, 9)
    await driven(clock, client.flush())
    expect(world.rejections).toMatchObject([{ id: 'evt-5', code }])
    expect(server.stored.size).toBe(8)
    expect(client.stats()).toMatchObject({ durable: 8, rejected: 1, bufferedEvents: 0 })
  })

  it.each([
    ['unauthorized', problem(401, 'unauthorized')],
    ['forbidden', problem(403, 'forbidden')],
    ['unexpectedAnswer', { kind: 'answer', status: 404, body: 'no such page' }],
    ['unexpectedAnswer', { kind: 'answer', status: 400, body: 'a proxy says no' }],
    ['unexpectedAnswer', { kind: 'answer', status: 302, headers: { location: '/login' } }],
  ] as const)('%s: keeps everything and tries once a minute', async (code, behaviour) => {
    let isWrong = true
    server.behave = () => (isWrong ? behaviour : TAKE)
    let key = 'old'
    const client = world.client({ apiKey: () => key, batchEventsMax: 1 })
    recordMany(client, 1)
    await driveUntil(clock, () => world.faults.length === 1, 0)
    expect(world.faults).toMatchObject([{ code, retryInMs: 60_000 }])
    clock.advance(59_999)
    expect(client.stats()).toMatchObject({ requests: 1, bufferedEvents: 1 })
    isWrong = false
    key = 'new'
    await driven(clock, client.flush())
    expect(server.requests.at(-1)?.authorization).toBe('Bearer new')
    expectAllStored(server, client, 1)
  })
})
