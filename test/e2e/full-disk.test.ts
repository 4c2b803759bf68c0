import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectUsageStore } from '../../src/store/usage-store.ts'
import { eventually } from '../support/eventually.ts'
import { freePorts } from '../support/kafka-node.ts'
import { type Load, startLoad } from '../support/load.ts'
import {
  accountOf,
  accountText,
  createLoadMeters,
  metered,
  NOTHING_ASTRAY,
  settledMeters,
} from '../support/load-account.ts'
import { type ServerProcess, startServer } from '../support/server.ts'
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts'

const DISK_BYTES = 512 * 1024 * 1024
const LOAD = 'fulldisk'

let disk: SmallDisk
let server: ServerProcess
let port: string
let load: Load | null = null
const undo: (() => unknown)[] = []
const start = (): Promise<ServerProcess> =>
  startServer({ dataDirectory: join(disk.directory, 'data'), args: ['--port', port] })

beforeAll(async () => {
  disk = mountSmallDisk(DISK_BYTES)
  undo.push(() => disk.remove())
  port = String((await freePorts(1))[0])
  server = await start()
  undo.push(() => server.kill9())
  await createLoadMeters(server, LOAD)
})
afterAll(async () => {
  await load?.stop()
  for (const step of undo.reverse()) await step()
})

const answered = (status: string): number => load?.answers.get(status) ?? 0

describe('a full disk below everything that is embedded', () => {
  it('I1: refuses with 503, goes on reading, and takes events again when there is room', async () => {
    const running = startLoad({ name: LOAD, target: () => server, eventsPerSecond: 1000 })
    load = running
    await eventually(
      () => running.acknowledged.size,
      (size) => size >= 2000,
    )
    for (const leftBytes of [32 * 1024 * 1024, 0]) {
      disk.fill(leftBytes)
      const refusedBefore = answered('503')
      await eventually(
        () => answered('503'),
        (count) => count > refusedBefore + 5,
      )
      const acknowledged = running.acknowledged.size
      expect(await metered(server, `${LOAD}_jobs`)).toBeGreaterThan(0)
      const refused = await fetch(`${server.apiUrl}/v1/events`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${server.adminKey}`,
          'content-type': 'application/cloudevents+json',
        },
        body: JSON.stringify({ specversion: '1.0', id: 'x', source: 'full', type: 'full', subject: 'acme' }),
      })
      expect(refused.status).toBe(503)
      expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(await refused.json()).toMatchObject({ code: 'logUnavailable' })
      disk.release()
      await eventually(
        () => running.acknowledged.size,
        (size) => size > acknowledged + 1000,
      )
    }
  })

  it('I1: is killed with a full disk, starts when there is room, and has lost nothing', async () => {
    const running = load
    if (running === null) throw new Error('no load')
    disk.fill(0)
    const refusedBefore = answered('503')
    await eventually(
      () => answered('503'),
      (count) => count > refusedBefore + 5,
    )
    await server.kill9()
    disk.release()
    server = await start()
    const acknowledged = running.acknowledged.size
    await eventually(
      () => running.acknowledged.size,
      (size) => size > acknowledged + 1000,
    )
    await running.stop()
    const settled = await settledMeters(server, running)
    expect(await server.stop(), server.errors()).toBe(0)
    const store = await connectUsageStore({
      kind: 'embedded',
      directory: join(disk.directory, 'data', 'clickhouse'),
    })
    try {
      const account = await accountOf(running, store, settled)
      console.log(accountText(account))
      expect(account).toMatchObject(NOTHING_ASTRAY)
      expect(running.faults).toEqual([])
    } finally {
      await store.close()
    }
  })
})
