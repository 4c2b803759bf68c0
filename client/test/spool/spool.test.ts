import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTallyman, type Rejection, type Tallyman } from '../../src/index.ts'
import { openSpool, type SpoolFault, type SpoolOptions } from '../../src/spool/index.ts'
import type { Spool } from '../../src/spool-port.ts'
import { type FaultServer, problem, startFaultServer, TAKE } from '../support/fault-server.ts'
import { driven, ManualClock } from '../support/manual-clock.ts'

let directory: string
let clock: ManualClock
let faults: SpoolFault[]
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tallyman-spool-'))
  clock = new ManualClock()
  faults = []
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function open(options: Partial<SpoolOptions> = {}): Spool {
  return openSpool({ directory, clock, onFault: (fault) => void faults.push(fault), ...options })
}

function anEvent(n: number, chars = 0): { readonly id: string; readonly body: Uint8Array } {
  const id = `evt-${n}`
  return { id, body: new TextEncoder().encode(JSON.stringify({ id, pad: 'x'.repeat(chars) })) }
}

function append(spool: Spool, from: number, to: number, chars = 0): number[] {
  const numbers = Array.from({ length: to - from }, (_, i) => spool.append(anEvent(from + i, chars)))
  return numbers.map((number) => {
    if (number === null) throw new Error('the disk failed')
    return number
  })
}

const segments = (): string[] => readdirSync(directory).filter((name) => name.endsWith('.segment'))
const idsOf = (spool: Spool): string[] => spool.recovered.map(({ event }) => event.id)

describe('openSpool', () => {
  it('finds again what was not settled, in order and byte for byte', async () => {
    const first = open()
    const numbers = append(first, 0, 6)
    first.settle([numbers[1], numbers[4]] as number[])
    await first.close()
    const second = open()
    expect(idsOf(second)).toEqual(['evt-0', 'evt-2', 'evt-3', 'evt-5'])
    expect([...(second.recovered[0]?.event.body ?? [])]).toEqual([...anEvent(0).body])
    const [next] = append(second, 6, 7)
    expect(next).toBeGreaterThan(Math.max(...numbers))
    await second.close()
  })

  it('removes a segment when its events are settled, and keeps none at rest', async () => {
    const spool = open({ segmentBytesMax: 1024, bytesMax: 65_536 })
    const numbers = append(spool, 0, 40, 100)
    expect(segments().length).toBeGreaterThan(3)
    spool.settle(numbers.slice(0, 20))
    expect(spool.stats().segments).toBe(segments().length)
    expect(segments()).not.toContain('0000000001.segment')
    spool.settle(numbers.slice(20))
    await spool.close()
    expect(segments()).toEqual([])
    const second = open()
    expect(idsOf(second)).toEqual([])
    await second.close()
  })

  it('drops a torn last record with a count, and keeps those before it', async () => {
    const first = open()
    append(first, 0, 3)
    await first.close()
    appendFileSync(join(directory, segments()[0] ?? ''), new Uint8Array([60, 0, 0, 0, 1, 2, 3, 4, 1, 9]))
    const second = open()
    expect(idsOf(second)).toEqual(['evt-0', 'evt-1', 'evt-2'])
    expect(second.stats()).toMatchObject({ recovered: 3, tornSegments: 1, tornBytes: 10 })
    expect(faults).toMatchObject([{ code: 'torn' }])
    append(second, 3, 4) // never behind the torn record, where it could not be found
    await second.close()
    const third = open()
    expect(idsOf(third)).toEqual(['evt-0', 'evt-1', 'evt-2', 'evt-3'])
    await third.close()
  })

  it('is bounded: it has no room beyond its size, and has some again when events are settled', async () => {
    const bytesMax = 8192
    const spool = open({ segmentBytesMax: 2048, bytesMax })
    const numbers: number[] = []
    while (spool.hasRoom(anEvent(0, 100).body.length))
      numbers.push(...append(spool, numbers.length, numbers.length + 1, 100))
    const onDisk = segments().reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
    expect(spool.stats().bytes).toBe(onDisk)
    expect(onDisk).toBeLessThanOrEqual(bytesMax)
    expect(onDisk).toBeGreaterThan(bytesMax - 512)
    spool.settle(numbers)
    expect(spool.hasRoom(4000)).toBe(true)
    await spool.close()
  })

  it('says so when the disk refuses, once, and goes on in memory', async () => {
    const spool = open()
    rmSync(directory, { recursive: true })
    expect([spool.append(anEvent(0)), spool.append(anEvent(1))]).toEqual([null, null])
    expect(spool.stats().writeFailures).toBe(2)
    expect(faults).toMatchObject([{ code: 'writeFailed' }])
  })

  it('refuses sizes that cannot work', () => {
    expect(() => open({ segmentBytesMax: 4096, bytesMax: 4096 })).toThrow(RangeError)
  })
})

describe('the lock', () => {
  const holder = { isFree: false, pid: process.pid, host: hostname(), startedAt: null }
  const lockAs = (number: number, content: unknown): void => {
    writeFileSync(join(directory, `lock-${number}`), JSON.stringify(content))
  }

  it('lets one process have the directory, and the next when it is closed', async () => {
    const first = open()
    expect(() => open()).toThrow(`is held by process ${process.pid}`)
    await first.close()
    const second = open()
    await second.close()
    expect(readdirSync(directory).filter((name) => name.startsWith('lock-'))).toEqual(['lock-2'])
  })

  it('passes over a holder that is gone, also when its pid is in use again', async () => {
    lockAs(4, { ...holder, startedAt: '1' })
    await open().close()
    lockAs(9, { ...holder, pid: 2 ** 22 + 1 }) // above the largest pid of Linux
    await open().close()
  })

  it('does not judge a holder on another machine', () => {
    lockAs(1, { ...holder, host: 'elsewhere' })
    expect(() => open()).toThrow('on elsewhere')
  })
})

describe('a client with a spool', () => {
  let server: FaultServer
  let rejections: Rejection[]
  beforeEach(async () => {
    server = await startFaultServer()
    rejections = []
  })
  afterEach(() => server.stop())

  function aClient(spool: Spool): Tallyman {
    return createTallyman({
      url: server.url,
      apiKey: 'key',
      source: '/gateway',
      clock,
      spool,
      onRejected: (rejection) => void rejections.push(rejection),
      onFault: () => undefined,
    })
  }
  const usage = { type: 'llm.request', subject: 'acme', data: { tokens: 1 } }

  it('sends after a restart what the process before was not told of, with the same ids and bytes', async () => {
    server.behave = () => ({ kind: 'takeAndDrop' })
    const first = aClient(open())
    const ids = Array.from({ length: 5 }, () => first.record(usage).id)
    expect(await driven(clock, first.close(2000))).toEqual({ left: 5 })
    server.behave = () => TAKE
    const second = aClient(open())
    expect(second.stats()).toMatchObject({ recovered: 5, bufferedEvents: 5 })
    expect(await driven(clock, second.close())).toEqual({ left: 0 })
    expect([...server.stored.keys()].sort()).toEqual(ids.map((id) => `/gateway ${id ?? ''}`).sort())
    expect([...server.stored.values()].every((spellings) => spellings.size === 1)).toBe(true)
    expect(segments()).toEqual([])
  })

  it('tells a rejected event once, also over a restart', async () => {
    server.behave = (n, [id = '']) =>
      n === 0 ? { kind: 'take', reject: { [id]: 'tooOld' } } : problem(503, 'overloaded')
    const first = aClient(open())
    first.record(usage)
    await driven(clock, first.flush())
    first.record(usage)
    expect(await driven(clock, first.close(1000))).toEqual({ left: 1 })
    server.behave = () => TAKE
    const second = aClient(open())
    expect(await driven(clock, second.close())).toEqual({ left: 0 })
    expect(rejections).toHaveLength(1)
  })

  it('refuses when the spool is full, and takes again when there is room', async () => {
    server.behave = () => problem(503, 'overloaded')
    const client = aClient(open({ segmentBytesMax: 1024, bytesMax: 4096 }))
    while (client.record(usage).kind === 'buffered');
    expect(rejections).toMatchObject([{ code: 'spoolFull' }])
    server.behave = () => TAKE
    await driven(clock, client.flush())
    expect(client.record(usage).kind).toBe('buffered')
    await driven(clock, client.close())
    expect(server.stored.size).toBe(client.stats().recorded)
  })

  it('keeps taking events when the disk fails: they are in memory only', async () => {
    const client = aClient(open())
    rmSync(directory, { recursive: true })
    expect(client.record(usage).kind).toBe('buffered')
    await driven(clock, client.flush())
    expect(server.stored.size).toBe(1)
    expect(client.stats()).toMatchObject({ durable: 1, spool: { writeFailures: 1 } })
  })
})
