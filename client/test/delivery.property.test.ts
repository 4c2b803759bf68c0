import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTallyman } from '../src/index.ts'
import { type Behaviour, PASSING_FAULTS, problem, startFaultServer, TAKE } from './support/fault-server.ts'
import { driven, type ManualClock } from './support/manual-clock.ts'
import { aWorld, recordMany, usage, type World } from './support/world.ts'

let world: World
let clock: ManualClock
beforeEach(async () => {
  world = await aWorld()
  ;({ clock } = world)
})
afterEach(() => world.end())

describe('whatever the server does', () => {
  it('C1: each event is stored with one id and one spelling, and none is counted twice', async () => {
    const behaviour = fc.constantFrom<Behaviour>(
      TAKE,
      ...PASSING_FAULTS.map(([, one]) => one),
      { kind: 'answer', status: 413 },
      problem(401, 'unauthorized'),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(behaviour, { maxLength: 12 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 7 }),
        async (script, count, batchEventsMax) => {
          const round = await startFaultServer()
          // A batch of one that is answered 413 would be rejected, rightly: that has its own test.
          round.behave = (n, ids) => {
            const next = script[n] ?? TAKE
            return next.kind === 'answer' && next.status === 413 && ids.length === 1 ? TAKE : next
          }
          const client = createTallyman({
            url: round.url,
            apiKey: 'key',
            source: '/gateway',
            clock,
            batchEventsMax,
            haltedRetryMs: 1000,
            requestTimeoutMs: 1000,
            onRejected: (rejection) => void world.rejections.push(rejection),
            onFault: () => undefined,
          })
          try {
            recordMany(client, count)
            expect(await driven(clock, client.close(3_600_000))).toEqual({ left: 0 })
            expect(world.rejections).toEqual([])
            expect(round.stored.size).toBe(count)
            expect([...round.stored.values()].every((spellings) => spellings.size === 1)).toBe(true)
            expect(client.stats()).toMatchObject({ recorded: count, durable: count, bufferedEvents: 0 })
          } finally {
            await round.stop()
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  it('C2: recorded = durable + rejected + dropped + buffered, at every moment', async () => {
    const behaviour = fc.constantFrom<Behaviour>(
      TAKE,
      { kind: 'take', reject: { 'evt-1': 'tooOld', 'evt-4': 'tooOld' } },
      { kind: 'takeAndDrop' },
      { kind: 'answer', status: 413 },
      problem(503, 'overloaded'),
      problem(400, 'malformedBatch'),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(behaviour, { maxLength: 10 }),
        fc.constantFrom('reject' as const, 'dropOldest' as const),
        fc.integer({ min: 1, max: 6 }),
        async (script, whenFull, bufferEventsMax) => {
          const round = await startFaultServer()
          round.behave = (n) => script[n] ?? TAKE
          const told: string[] = []
          const client = createTallyman({
            url: round.url,
            apiKey: 'key',
            source: '/gateway',
            clock,
            whenFull,
            bufferEventsMax,
            batchEventsMax: 3,
            onRejected: ({ id }) => void told.push(id ?? ''),
            onFault: () => undefined,
          })
          const expectBalance = (): void => {
            const { recorded, durable, rejected, dropped, refused, bufferedEvents } = client.stats()
            expect(recorded).toBe(durable + rejected + dropped + bufferedEvents)
            expect(told.length).toBe(rejected + dropped + (refused['bufferFull'] ?? 0))
          }
          try {
            for (let n = 0; n < 12; n++) {
              client.record(usage(n))
              expectBalance()
              if (n % 4 === 3) await driven(clock, client.flush(50))
              expectBalance()
            }
            expect(await driven(clock, client.close(3_600_000))).toEqual({ left: 0 })
            expectBalance()
            expect(new Set(told).size).toBe(told.length)
          } finally {
            await round.stop()
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})
