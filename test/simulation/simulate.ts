import { createAggregatorWorker } from '../../src/aggregate/worker.ts'
import { instantOf } from '../../src/time/instant.ts'
import type { UsageEvent } from '../../src/usage/event.ts'
import { silentMetrics } from '../support/aggregating.ts'
import { decodePack } from '../support/scripted-log.ts'
import { aUsageEvent, NOON, packBytes } from '../support/usage-packs.ts'
import type { Faults, Protections } from './protections.ts'
import { BUSY_PARTITIONS, SimLog } from './sim-log.ts'
import { SimStore } from './sim-store.ts'
import { Process, World } from './world.ts'

export interface SimulationResult {
  readonly steps: number
  readonly events: number
  readonly kills: number
  readonly restarts: number
}

/** An invariant did not hold. */
export class Violation extends Error {
  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`)
    this.name = 'Violation'
  }
}

const STEPS = 120
const STEPS_TO_DRAIN = 3000
const IDENTITIES = 14
const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

interface Worker {
  readonly process: Process
  readonly fault: () => string | null
}

/** One life of the aggregator under faults, then without. @throws Violation */
export async function simulate(seed: number, protections: Protections): Promise<SimulationResult> {
  const world = new World(seed)
  const { random } = world
  const faults: Faults = { isOn: true, noSpace: false }
  const log = new SimLog(world, faults, protections)
  const store = new SimStore(world, faults, protections)
  const checker = createChecker(log, store)
  const owners: (Worker | undefined)[] = Array.from({ length: BUSY_PARTITIONS })
  let current: Worker[] = []
  let started = 0
  let kills = 0
  let events = 0
  const failures: unknown[] = []

  const start = (): Worker => {
    const process = new Process(`worker ${started++}`)
    const assigned = (): readonly number[] =>
      owners.flatMap((owner, partition) => (owner === worker ? [partition] : []))
    const aggregator = createAggregatorWorker({
      log: log.of(process, assigned),
      sink: store.of(process),
      clock: { now: () => instantOf(0) },
      metrics: silentMetrics,
      logger: silent,
      config: { flushIntervalMs: 1, flushRowsMax: 4 },
      timers: {
        after: (_ms, callback) => world.later(process, callback),
        pause: () => world.step(process),
        yield: async () => undefined,
      },
      recentSlotsLog2: 6,
      ...(protections.checksContiguity ? {} : { isContiguous: () => true }),
    })
    const worker: Worker = { process, fault: () => aggregator.fault() }
    void aggregator.start().catch((error: unknown) => failures.push(error))
    return worker
  }
  const rebalance = (): void => {
    for (let partition = 0; partition < BUSY_PARTITIONS; partition++) owners[partition] = random.pick(current)
  }
  const kill = (worker: Worker): void => {
    worker.process.isDead = true
    kills++
    current = current.filter((other) => other !== worker)
    current.push(start())
    rebalance()
  }
  const append = (): void => {
    const pack = Array.from({ length: 1 + random.below(4) }, () => anEvent(world, events++))
    const place = (event: UsageEvent): number =>
      protections.placesByIdentity ? Number(event.id) % BUSY_PARTITIONS : random.below(BUSY_PARTITIONS)
    for (const [partition, ofOne] of Map.groupBy(pack, place)) {
      const bytes = packBytes(ofOne)
      log.append(partition, bytes)
      // The acknowledgement was lost and the producer sent it again, or the client did.
      if (random.chance(0.15)) log.append(partition, bytes)
    }
  }

  current = [start(), start()]
  rebalance()
  let steps = 0
  for (; steps < STEPS; steps++) {
    const dice = random.next()
    if (dice < 0.14) append()
    else if (dice < 0.155) kill(random.pick(current))
    else if (dice < 0.17)
      rebalance() // the former owner writes on as a zombie
    else if (dice < 0.176) {
      for (const worker of current) worker.process.isDead = true
      store.loseUnsynced()
      for (const worker of current) kill(worker)
    } else if (dice < 0.19) faults.noSpace = !faults.noSpace
    else await world.advance()
    for (const worker of current) if (worker.fault() !== null) kill(worker) // halted: an operator restarts it
    checker.check()
  }

  faults.isOn = false
  faults.noSpace = false
  for (const worker of current) if (random.chance(0.5)) kill(worker)
  const isDrained = (): boolean =>
    store.journal().every(({ partition, end }) => end === log.records[partition]?.length)
  for (let left = STEPS_TO_DRAIN; !isDrained(); left--, steps++) {
    for (const worker of current) if (worker.fault() !== null) kill(worker)
    if (left === 0 || !(await world.advance())) throw new Violation('liveness', 'the journal stands still')
    checker.check()
  }
  // What is written behind the journal's back comes too late.
  store.loseUnsynced()
  checker.check()
  for (const worker of current) worker.process.isDead = true
  if (failures.length > 0) throw new Violation('start', String(failures[0]))
  return { steps, events, kills, restarts: started }
}

/** Few identities, so that copies are frequent; some say another time or subject than the first. */
function anEvent({ random }: World, n: number): UsageEvent {
  const id = random.below(IDENTITIES)
  const isOdd = random.chance(0.1)
  return aUsageEvent({
    id: String(id),
    subject: isOdd ? 'other' : 'subject',
    // Two months, so that a flush is more than one insert.
    time: instantOf(NOON - (id % 2) * 86_400_000 + (random.chance(0.1) ? 60_000 : 0)),
    properties: { tokens: String(n) },
  })
}

/** The invariants, told from the log's records without the production code's help. */
function createChecker(log: SimLog, store: SimStore): { check(): void } {
  const firsts = new Map<string, string>()
  const place = (partition: number, offset: number, index: number): string =>
    `${partition}:${offset}:${index}`
  const decoded = new Map<string, readonly string[]>()
  const idsOf = (partition: number, offset: number): readonly string[] => {
    const key = `${partition}:${offset}`
    let ids = decoded.get(key)
    if (ids === undefined) {
      const record = log.records[partition]?.[offset]
      ids = record === undefined ? [] : decodePack(record.value).events.map(({ id }) => id)
      decoded.set(key, ids)
    }
    return ids
  }
  let checkedVersion = -1
  return {
    check() {
      // Between two writes nothing can have changed but the positions.
      const isUnchanged = store.version === checkedVersion
      checkedVersion = store.version
      const journal = store.journal()
      const cut = journal.map(({ partition, end }) => ({ partition, offset: end }))
      for (const { partition, offset } of cut) {
        if (offset > (log.records[partition]?.length ?? 0)) {
          throw new Violation('I3', `partition ${partition}: the journal is at ${offset}, beyond the log`)
        }
        if ((log.committed.get(partition) ?? 0) > offset) {
          throw new Violation('I3', `partition ${partition}: committed beyond the journal at ${offset}`)
        }
      }
      if (isUnchanged) return
      const expected = new Map<string, string>()
      for (const { partition, offset: end } of cut) {
        for (let offset = 0; offset < end; offset++) {
          for (const [index, id] of idsOf(partition, offset).entries()) {
            if (!expected.has(id)) expected.set(id, place(partition, offset, index))
          }
        }
      }
      const seen = new Map<string, string>()
      for (const row of store.canonical(cut)) {
        if (seen.has(row.id)) throw new Violation('I5', `event ${row.id} counts twice`)
        seen.set(row.id, place(row.partition, row.offset, row.index))
      }
      for (const [id, first] of expected) {
        const counted = seen.get(id)
        if (counted === undefined)
          throw new Violation('I3', `event ${id} is before the journal and does not count`)
        if (counted !== first)
          throw new Violation('I6', `event ${id}: ${counted} counts, ${first} came first`)
        const before = firsts.get(id)
        if (before !== undefined && before !== first) {
          throw new Violation('I6', `event ${id}: ${before} counted, now ${first} does`)
        }
        firsts.set(id, first)
      }
      if (seen.size !== expected.size) throw new Violation('I4', 'something counts that nobody sent')
    },
  }
}
