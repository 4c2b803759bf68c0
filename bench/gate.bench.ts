import { hash, randomBytes } from 'node:crypto'
import type { CustomerKey, TenantId } from '../src/id/ids.ts'
import { createKeyTable, type KeyTable } from '../src/provision/key-table.ts'
import type { KeyState } from '../src/provision/key-state.ts'
import { mintKey } from '../src/provision/mint.ts'
import { instantOf } from '../src/time/instant.ts'
import type { Figure } from './figure.ts'

const TENANT = 'ten_bench' as TenantId
const SAMPLES = 200_000
/** Keys that are presented; more of them would measure the memory of the bench. */
const PRESENTED = 4_096
const KEYS_A_CUSTOMER = 10
const PAGE = 5_000

/**
 * The decision of the gate in this process with a thousand and with a million keys, beside the least that any such
 * decision must do: SHA-256 of the key and one look into a Map.
 */
export async function run(): Promise<readonly Figure[]> {
  return [...(await decisions(1_000)), ...(await decisions(1_000_000))]
}

async function decisions(count: number): Promise<readonly Figure[]> {
  const size = count === 1_000 ? '1 thousand keys' : '1 million keys'
  const empty = await memory()
  const { table, presented, hashes, readyMs, floorMs } = await fill(count)
  const filled = await memory()
  const byHash = new Map(hashes.map((text) => [text, true]))

  const unknown = Array.from({ length: PRESENTED }, (_, i) => aKey(count + i).key)
  const garbled = presented.map((key) => `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`)
  const floor = measure(presented, (key) => byHash.get(hash('sha256', key, 'base64url')) === true)
  const hit = measure(presented, decideWith(table, true))
  const miss = measure(unknown, decideWith(table, false))
  const garbage = measure(garbled, decideWith(table, false))
  const figures: Figure[] = [
    { metric: `decision p50, ${size}`, value: hit.p50, unit: 'µs', floor: floor.p50 },
    { metric: `decision p99, ${size}`, value: hit.p99, unit: 'µs', floor: floor.p99 },
    { metric: `decision p99.9, ${size}`, value: hit.p999, unit: 'µs', floor: floor.p999 },
    { metric: `decisions, ${size}`, value: hit.perSecond, unit: '/s', floor: floor.perSecond },
    { metric: `unknown key p50, ${size}`, value: miss.p50, unit: 'µs', floor: floor.p50 },
    { metric: `garbled key p50, ${size}`, value: garbage.p50, unit: 'µs', floor: floor.p50 },
  ]
  if (count < 1_000_000) return figures
  // What the bench itself keeps of each key: the text of its hash, 43 characters with their object.
  const ofBench = hashes.length * 72
  return [
    ...figures,
    { metric: `buffers, ${size}`, value: table.byteLength() / 1e6, unit: 'MB' },
    { metric: `buffers and heap, ${size}`, value: (filled - empty - ofBench) / 1e6, unit: 'MB' },
    { metric: `ready, ${size}`, value: readyMs / 1000, unit: 's', floor: floorMs / 1000 },
  ]
}

/**
 * Keys come in pages, as they do from the database; only the time of taking them in is counted. The floor puts their
 * hashes into a Map.
 */
async function fill(count: number) {
  const table = openTable()
  const presented: string[] = []
  const hashes: string[] = []
  const every = Math.max(1, Math.floor(count / PRESENTED))
  let readyMs = 0
  let floorMs = 0
  const map = new Map<string, number>()
  for (let from = 0; from < count; from += PAGE) {
    const states: KeyState[] = []
    for (let i = from; i < Math.min(count, from + PAGE); i++) {
      const { key, state } = aKey(i)
      states.push(state)
      hashes.push(state.hash)
      if (i % every === 0) presented.push(key)
    }
    const startedMs = performance.now()
    for (const state of states) table.apply(state)
    readyMs += performance.now() - startedMs
    const floorStartedMs = performance.now()
    for (const { hash: text } of states) map.set(text, map.size)
    floorMs += performance.now() - floorStartedMs
  }
  return { table, presented, hashes, readyMs, floorMs }
}

function decideWith(table: KeyTable, wanted: boolean): (key: string) => boolean {
  return (key) => (table.decide({ tenant: TENANT, key, permission: null }).refusal === null) === wanted
}

function openTable(): KeyTable {
  const now = instantOf(Date.now())
  return createKeyTable({
    holders: { now: () => now },
    monotonicMs: () => performance.now(),
    metrics: { decided: () => undefined, keysHeld: () => undefined, applied: () => undefined },
  })
}

function aKey(i: number): { key: string; state: KeyState } {
  const nowMs = 1_700_000_000_000 + i
  return mintKey(
    {
      tenant: TENANT,
      name: `service-${i % 1000}`,
      scopes: ['chat.write'],
      customer: `customer-${Math.floor(i / KEYS_A_CUSTOMER)}` as CustomerKey,
    },
    { nowMs, createdAt: instantOf(nowMs), randomBytes },
  )
}

async function memory(): Promise<number> {
  // Two turns of the event loop let finished buffers go before the collector is asked.
  for (let turn = 0; turn < 2; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc?.()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

interface Timing {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly perSecond: number
}

/** Microseconds of single calls, and calls a second of a run without a clock around each. */
function measure(keys: readonly string[], decide: (key: string) => boolean): Timing {
  const at = (i: number): string => keys[(i * 7919) % keys.length] ?? ''
  for (let i = 0; i < SAMPLES / 4; i++) expectRight(decide(at(i)))
  const tookNs = new Float64Array(SAMPLES)
  for (let i = 0; i < SAMPLES; i++) {
    const key = at(i)
    const startedNs = process.hrtime.bigint()
    const right = decide(key)
    tookNs[i] = Number(process.hrtime.bigint() - startedNs)
    expectRight(right)
  }
  const startedMs = performance.now()
  for (let i = 0; i < SAMPLES; i++) expectRight(decide(at(i)))
  const perSecond = SAMPLES / ((performance.now() - startedMs) / 1000)
  tookNs.sort()
  const quantile = (share: number): number => (tookNs[Math.floor(share * (SAMPLES - 1))] ?? 0) / 1000
  return { p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999), perSecond }
}

function expectRight(right: boolean): void {
  if (!right) throw new Error('the gate decided wrongly')
}
