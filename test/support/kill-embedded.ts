import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectUsageStore } from '../../src/store/usage-store.ts'
import { freePorts } from './kafka-node.ts'
import { Draw, type KillOptions } from './kill-schedule.ts'
import { type Load, startLoad } from './load.ts'
import {
  accountOf,
  accountText,
  createLoadMeters,
  type LoadAccount,
  metered,
  settledMeters,
} from './load-account.ts'
import { type ServerProcess, startServer } from './server.ts'

export interface KillResult {
  readonly kills: Readonly<Record<string, number>>
  readonly account: LoadAccount
  readonly answers: Readonly<Record<string, number>>
  readonly faults: readonly string[]
  /** From the kill until requests are answered again, the longest. */
  readonly awayMsMax: number
  readonly seconds: number
}

const LOAD = 'kills'

/** Kills one process with everything embedded, again and again under load, and counts at the end. */
export async function killEmbedded(options: KillOptions): Promise<KillResult> {
  const { kills, seed, eventsPerSecond, onProgress } = options
  const beganMs = performance.now()
  const draw = new Draw(seed)
  const scratch = mkdtempSync(join(tmpdir(), 'tallyman-kills-'))
  const dataDirectory = join(scratch, 'data')
  const port = String((await freePorts(1))[0])
  const start = (): Promise<ServerProcess> => startServer({ dataDirectory, args: ['--port', port] })
  let server = await start()
  let load: Load | null = null
  let awayMsMax = 0
  try {
    await createLoadMeters(server, LOAD)
    load = startLoad({ name: LOAD, target: () => server, eventsPerSecond })
    for (let kill = 1; kill <= kills; kill++) {
      await draw.pause(50, 1500)
      const killedMs = performance.now()
      await server.kill9()
      server = await start()
      awayMsMax = Math.max(awayMsMax, performance.now() - killedMs)
      if (kill % 10 !== 0) continue
      const begun = load.begun()
      const jobs = await metered(server, `${LOAD}_jobs`)
      if (jobs > load.begun()) throw new Error(`${jobs} events count, of ${begun} that were sent`)
      onProgress?.(`kill ${kill}: acknowledged ${load.acknowledged.size}, counted so far ${jobs}`)
    }
    await load.stop()
    const settled = await settledMeters(server, load)
    const exitCode = await server.stop()
    if (exitCode !== 0) throw new Error(`the server ended with ${String(exitCode)}:\n${server.errors()}`)
    const store = await connectUsageStore({
      kind: 'embedded',
      directory: join(dataDirectory, 'clickhouse'),
    })
    try {
      const account = await accountOf(load, store, settled)
      onProgress?.(accountText(account))
      return {
        kills: { server: kills },
        account,
        answers: Object.fromEntries(load.answers),
        faults: load.faults,
        awayMsMax,
        seconds: (performance.now() - beganMs) / 1000,
      }
    } finally {
      await store.close()
    }
  } finally {
    await load?.stop()
    await server.kill9()
    rmSync(scratch, { recursive: true, force: true })
  }
}
