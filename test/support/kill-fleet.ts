import { setTimeout as pause } from 'node:timers/promises'
import { connectUsageStore } from '../../src/store/usage-store.ts'
import { startFleet } from './fleet.ts'
import type { KillResult } from './kill-embedded.ts'
import { Draw, type KillOptions } from './kill-schedule.ts'
import { type Load, startLoad } from './load.ts'
import { accountOf, accountText, createLoadMeters, metered, settledMeters } from './load-account.ts'
import { type Supervised, supervise } from './supervised.ts'

const VICTIMS = ['ingest', 'aggregate-1', 'aggregate-2', 'broker', 'clickhouse', 'zombie'] as const
type Victim = (typeof VICTIMS)[number]
/** Longer than a group member may be silent (10 s): its partitions are given to the other one meanwhile. */
const ZOMBIE_MS = 12_000

export interface FleetKillResult extends KillResult {
  /** Processes that ended by themselves and were started again, and why. */
  readonly endings: readonly string[]
}

const LOAD = 'kills'

/** Kills and freezes the parts of a fleet at random under load, and counts at the end. */
export async function killFleet(options: KillOptions): Promise<FleetKillResult> {
  const { kills, seed, eventsPerSecond, onProgress } = options
  const beganMs = performance.now()
  const draw = new Draw(seed)
  const fleet = await startFleet()
  const supervised: Supervised[] = []
  let load: Load | null = null
  try {
    const api = await fleet.start('api')
    const [ingest, first, second] = await Promise.all([
      supervise(fleet, 'ingest', 'ingest'),
      supervise(fleet, 'aggregate', 'aggregate-1'),
      supervise(fleet, 'aggregate', 'aggregate-2'),
    ])
    supervised.push(ingest, first, second)
    await createLoadMeters(api, LOAD)
    load = startLoad({
      name: LOAD,
      target: () => ({ apiUrl: ingest.current().apiUrl, adminKey: api.adminKey }),
      eventsPerSecond,
    })
    const counts: Record<Victim, number> = {
      ...{ ingest: 0, 'aggregate-1': 0, 'aggregate-2': 0, broker: 0, clickhouse: 0, zombie: 0 },
    }
    let awayMsMax = 0
    const zombie = { done: Promise.resolve() }
    const asZombie = async (aggregator: Supervised): Promise<void> => {
      const frozen = aggregator.current()
      frozen.freeze()
      await pause(ZOMBIE_MS)
      frozen.thaw()
    }
    const strike = async (victim: Victim): Promise<void> => {
      const struckMs = performance.now()
      switch (victim) {
        case 'ingest':
          await ingest.killAndAwaitNext()
          break
        case 'aggregate-1':
          await first.killAndAwaitNext()
          break
        case 'aggregate-2':
          await second.killAndAwaitNext()
          break
        case 'broker':
          await fleet.kafka.kill9()
          await fleet.kafka.restart()
          break
        case 'clickhouse':
          await fleet.clickhouse.kill9()
          await fleet.clickhouse.restart()
          break
        case 'zombie':
          // One at a time, and others die meanwhile.
          await zombie.done
          zombie.done = asZombie(draw.next() < 0.5 ? first : second)
          return
      }
      awayMsMax = Math.max(awayMsMax, performance.now() - struckMs)
    }
    // Everything dies at least once where there are as many kills; the rest is drawn.
    const plan: readonly Victim[] = Array.from(
      { length: kills },
      (_, i) => VICTIMS[VICTIMS.length - 1 - i] ?? draw.of(VICTIMS.slice(0, i % 20 === 0 ? 6 : 5)),
    )
    for (const [i, victim] of plan.entries()) {
      onProgress?.(`${((performance.now() - beganMs) / 1000).toFixed(0)} s: ${victim}`)
      await draw.pause(50, 1500)
      await strike(victim)
      counts[victim]++
      if ((i + 1) % 10 !== 0) continue
      const jobs = await metered(api, `${LOAD}_jobs`).catch(() => null)
      if (jobs !== null && jobs > load.begun()) {
        throw new Error(`${jobs} events count, of ${load.begun()} that were sent`)
      }
      onProgress?.(`kill ${i + 1}: acknowledged ${load.acknowledged.size}, counted so far ${String(jobs)}`)
    }
    await zombie.done
    await load.stop()
    const settled = await settledMeters(api, load)
    const store = await connectUsageStore({ kind: 'url', url: fleet.clickhouse.url })
    try {
      const account = await accountOf(load, store, settled)
      onProgress?.(accountText(account))
      return {
        kills: counts,
        account,
        answers: Object.fromEntries(load.answers),
        faults: load.faults,
        endings: supervised.flatMap(({ endings }) => endings),
        awayMsMax,
        seconds: (performance.now() - beganMs) / 1000,
      }
    } finally {
      await store.close()
    }
  } finally {
    await load?.stop()
    for (const one of supervised) one.release()
    await fleet.stop()
  }
}
