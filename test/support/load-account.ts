import type { UsageStore } from '../../src/aggregate/ports.ts'
import { eventually } from './eventually.ts'
import { type Load, loadType, unitsOf } from './load.ts'
import { call } from './server.ts'

interface Server {
  readonly apiUrl: string
  readonly adminKey: string
}

/** What became of the events of a load, by identity. */
export interface LoadAccount {
  readonly begun: number
  readonly acknowledged: number
  readonly counted: number
  /** Acknowledged and not counted. */
  readonly lost: number
  /** Counted more than once, in the set of events or by a meter. */
  readonly twice: number
  /** Counted and never sent. */
  readonly invented: number
  /** By how much the meter's sum differs from what the counted events carry. */
  readonly unitsAstray: number
}

/** What every run of faults has to come to. */
export const NOTHING_ASTRAY = { lost: 0, twice: 0, invented: 0, unitsAstray: 0 } as const

/** Makes the two meters of a load: how many events count, and what they carry. */
export async function createLoadMeters(server: Server, name: string): Promise<void> {
  const common = { name, eventType: loadType(name) }
  for (const [key, meter] of Object.entries({
    [`${name}_jobs`]: { ...common, aggregation: 'count' },
    [`${name}_units`]: { ...common, aggregation: 'sum', valueProperty: 'units' },
  })) {
    const { status, body } = await call(server, 'PUT', `/v1/meters/${key}`, meter)
    if (status >= 300) throw new Error(`the meter ${key} was not made: ${JSON.stringify(body)}`)
  }
}

/** What the usage query says now. */
export async function metered(server: Server, meter: string): Promise<number> {
  const from = new Date(Date.now() - 86_400_000).toISOString()
  const to = new Date(Date.now() + 86_400_000).toISOString()
  const { status, body } = await call(
    server,
    'GET',
    `/v1/meters/${meter}/usage?from=${from}&to=${to}&window=none`,
  )
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
  const [row] = body['data'] as readonly { readonly value: string | null }[]
  return Number(row?.value ?? 0)
}

export interface Metered {
  readonly jobs: number
  readonly units: number
}

/**
 * Waits until everything on the log counts and the books agree, and answers what the meters say then.
 * @throws when that does not come
 */
export async function settledMeters(server: Server, load: Load): Promise<Metered> {
  await eventually(
    () => metered(server, `${load.name}_jobs`).catch((error: unknown) => String(error)),
    (jobs) => typeof jobs === 'number' && jobs >= load.acknowledged.size,
    60_000,
  )
  await eventually(
    async () => (await call(server, 'POST', '/v1/reconcile')).body,
    (body) => body['ok'] === true,
    60_000,
  )
  return {
    jobs: await metered(server, `${load.name}_jobs`),
    units: await metered(server, `${load.name}_units`),
  }
}

/** Compares what was acknowledged with every identity in the set of events. */
export async function accountOf(load: Load, store: UsageStore, metered: Metered): Promise<LoadAccount> {
  const rows = await store.query<{ readonly id: string }>(
    'SELECT id FROM usage_events FINAL WHERE type = {type:String}',
    { type: loadType(load.name) },
  )
  const numbers = rows.map(({ id }) => Number(id))
  const counted = new Set(numbers)
  const begun = load.begun()
  let lost = 0
  for (const n of load.acknowledged) if (!counted.has(n)) lost++
  let units = 0
  for (const n of counted) units += unitsOf(n)
  return {
    begun,
    acknowledged: load.acknowledged.size,
    counted: counted.size,
    lost,
    twice: numbers.length - counted.size + Math.max(0, metered.jobs - counted.size),
    invented: [...counted].filter((n) => !Number.isInteger(n) || n < 0 || n >= begun).length,
    unitsAstray: Math.abs(metered.units - units),
  }
}

/** As it is printed: everything a reader has to see at once. */
export function accountText(account: LoadAccount): string {
  const { begun, acknowledged, counted, lost, twice, invented } = account
  return `sent ${begun}, acknowledged ${acknowledged}, counted ${counted}, lost ${lost}, twice ${twice}, invented ${invented}`
}
