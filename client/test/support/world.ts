import { expect } from 'vitest'
import {
  createTallyman,
  type Fault,
  type Rejection,
  type Tallyman,
  type TallymanOptions,
  type UsageEventInput,
} from '../../src/index.ts'
import { type FaultServer, startFaultServer } from './fault-server.ts'
import { driven, ManualClock } from './manual-clock.ts'

/** A server, clients of it on one clock, and what they were told. */
export interface World {
  readonly server: FaultServer
  readonly clock: ManualClock
  readonly rejections: Rejection[]
  readonly faults: Fault[]
  readonly client: (options?: Partial<TallymanOptions>) => Tallyman
  /** Ends all of it; no timer may be left. */
  readonly end: () => Promise<void>
}

export async function aWorld(): Promise<World> {
  const server = await startFaultServer()
  const clock = new ManualClock()
  const rejections: Rejection[] = []
  const faults: Fault[] = []
  const clients: Tallyman[] = []
  return {
    server,
    clock,
    rejections,
    faults,
    client: (options = {}) => {
      const client = createTallyman({
        url: server.url,
        apiKey: 'tm_live_test',
        source: '/gateway',
        clock,
        random: () => 0.5,
        onRejected: (rejection) => void rejections.push(rejection),
        onFault: (fault) => void faults.push(fault),
        ...options,
      })
      clients.push(client)
      return client
    },
    end: async () => {
      for (const client of clients) await driven(clock, client.close(0))
      await server.stop()
      expect(clock.pending, 'timers that are left').toBe(0)
    },
  }
}

/** The n-th event, with an id of its own. */
export function usage(n: number): UsageEventInput {
  return { type: 'llm.request', subject: 'acme', id: `evt-${n}`, data: { tokens: n } }
}

export function recordMany(client: Tallyman, count: number): void {
  for (let n = 0; n < count; n++) expect(client.record(usage(n)).kind).toBe('buffered')
}

/** Every identity is stored, each in one spelling, and what the client counts as durable is what is stored. */
export function expectAllStored(server: FaultServer, client: Tallyman, count: number): void {
  expect(server.stored.size).toBe(count)
  expect([...server.stored.values()].every((spellings) => spellings.size === 1)).toBe(true)
  expect(client.stats()).toMatchObject({ recorded: count, durable: count, bufferedEvents: 0 })
}
