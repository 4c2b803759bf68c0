import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hono } from 'hono'
import { rateLimiter } from 'hono-rate-limiter'
import { guardHono } from '../client/gate/index.ts'
import type { QuotaKey, SubjectId, TenantId } from '../src/id/ids.ts'
import { openEmbeddedLog } from '../src/log/embedded/embedded-log.ts'
import { createEnforcer } from '../src/provision/enforcer.ts'
import { createGatekeeper } from '../src/provision/gatekeeper.ts'
import { createKeyTable } from '../src/provision/key-table.ts'
import type { AccountName, Terms } from '../src/provision/ledger/account.ts'
import { type QuotaAuthority, startQuotaAuthority } from '../src/provision/ledger/authority.ts'
import { createLocalGate } from '../src/provision/local-gate.ts'
import { mintKey } from '../src/provision/mint.ts'
import { instantOf } from '../src/time/instant.ts'
import type { EventLog } from '../src/usage/event-log.ts'
import type { Figure } from './figure.ts'

const TENANT = 'ten_bench' as TenantId
const SUBJECTS = 200
const ROUNDS = 100
const REQUESTS = 20_000
const TERMS: Terms = {
  limit: 10n ** 12n,
  unit: 'calls',
  period: 'month',
  timezone: 'UTC',
  billingPeriod: null,
  ladder: [],
  rollover: null,
  onUnavailable: 'closed',
}
const nameOf = (i: number): AccountName => ({
  tenant: TENANT,
  quotaKey: 'calls' as QuotaKey,
  holder: { kind: 'subject', id: `subject-${i}` as SubjectId },
})

/** Leases: acquires of the ledger over a synced log beside the appends alone, and what a guarded request costs more than a bare one. */
export async function run(): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-bench-ledger-'))
  const log = await openEmbeddedLog({ directory })
  try {
    const authority = await startQuotaAuthority({
      log,
      snapshots: { load: async () => null, save: async () => undefined },
      instance: 'bench',
      onFatal: (error) => {
        throw error
      },
    })
    for (let i = 0; i < SUBJECTS; i++) await authority.submit(nameOf(i), { kind: 'setTerms', terms: TERMS })
    const figures = [...(await acquires(authority, log)), ...(await guarded(authority))]
    await authority.stop()
    return figures
  } finally {
    await log.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function acquires(authority: QuotaAuthority, log: EventLog): Promise<readonly Figure[]> {
  const tookMs: number[] = []
  const startedMs = performance.now()
  for (let sequence = 1; sequence <= ROUNDS; sequence++) {
    await Promise.all(
      Array.from({ length: SUBJECTS }, async (_, i) => {
        const askedMs = performance.now()
        const acquire = {
          kind: 'acquire',
          holder: 'gw',
          incarnation: 1,
          sequence,
          want: 10n,
          minUseful: 1n,
        } as const
        const answer = await authority.submit(nameOf(i), acquire)
        if (answer.kind !== 'granted') throw new Error(answer.kind)
        tookMs.push(performance.now() - askedMs)
        await authority.submit(nameOf(i), { kind: 'return', leaseId: answer.lease.id, used: 10n })
      }),
    )
  }
  const perSecond = (SUBJECTS * ROUNDS) / ((performance.now() - startedMs) / 1000)
  const floor = await appendsAlone(log)
  tookMs.sort((a, b) => a - b)
  return [
    { metric: 'acquires, each with its return', value: perSecond, unit: '/s', floor },
    { metric: 'acquire p99, 200 at once', value: tookMs[Math.floor(tookMs.length * 0.99)] ?? 0, unit: 'ms' },
  ]
}

/** As many records of the size of a command, as many at once, as often. */
async function appendsAlone(log: EventLog): Promise<number> {
  await log.ensureTopic({ name: 'bench.floor', partitions: 4, retentionMs: null })
  const records = Array.from({ length: SUBJECTS }, (_, i) => ({
    partition: i % 4,
    value: Buffer.alloc(250, 1),
  }))
  const startedMs = performance.now()
  for (let round = 0; round < ROUNDS; round++) {
    await log.append('bench.floor', records)
    await log.append('bench.floor', records)
  }
  return (SUBJECTS * ROUNDS) / ((performance.now() - startedMs) / 1000)
}

async function guarded(authority: QuotaAuthority): Promise<readonly Figure[]> {
  const now = instantOf(Date.now())
  const table = createKeyTable({
    holders: { now: () => now },
    monotonicMs: () => performance.now(),
    metrics: { decided: () => undefined, keysHeld: () => undefined, applied: () => undefined },
  })
  const { holder, quotaKey } = nameOf(0)
  const { key, state } = mintKey(
    {
      tenant: TENANT,
      name: 'k',
      scopes: ['chat.write'],
      subject: holder.id as SubjectId,
      quotas: [quotaKey],
      rate: { requestsPerSecond: 1_000_000, burst: 1_000_000 },
    },
    { nowMs: now, createdAt: now, randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)) },
  )
  table.apply(state)
  let asked = 0
  const counting: Pick<QuotaAuthority, 'submit' | 'account'> = {
    account: (name) => authority.account(name),
    submit: (...args) => {
      if (args[1].kind === 'acquire') asked++
      return authority.submit(...args)
    },
  }
  const enforcer = createEnforcer({
    authority: counting,
    holder: 'bench',
    incarnation: 1,
    now: () => ({ at: instantOf(Date.now()), isTestClock: false }),
    monotonicMs: () => performance.now(),
  })
  const gatekeeper = createGatekeeper({ table, enforcer, authority, random: () => 0 })
  const gate = createLocalGate({ gatekeeper, tenant: TENANT })

  const bare = new Hono().get('/', (c) => c.text('ok'))
  const ours = new Hono()
  ours.use('*', guardHono({ gate, permission: 'chat.write', cost: () => ({ calls: 1n }) }))
  ours.get('/', (c) => c.text('ok'))
  const peer = new Hono()
  peer.use(
    '*',
    rateLimiter({
      windowMs: 60_000,
      limit: 1_000_000_000,
      keyGenerator: (c) => c.req.header('authorization') ?? '',
    }),
  )
  peer.get('/', (c) => c.text('ok'))

  const headers = { authorization: `Bearer ${key}` }
  const floor = await requestMicros(bare, headers)
  const guardedMicros = await requestMicros(ours, headers)
  const peerMicros = await requestMicros(peer, headers)
  await enforcer.stop()
  return [
    { metric: 'bare Hono request', value: floor, unit: 'µs' },
    {
      metric: 'guard: key, permission, rate, leased quota, headers, more than bare',
      value: guardedMicros - floor,
      unit: 'µs',
      floor: peerMicros - floor,
    },
    { metric: 'acquires per 1,000 admissions', value: (asked * 1000) / (REQUESTS * 2), unit: '' },
  ]
}

async function requestMicros(
  app: { request: Hono['request'] },
  headers: Record<string, string>,
): Promise<number> {
  const once = async (): Promise<void> => {
    const { status } = await app.request('/', { headers })
    if (status !== 200) throw new Error(`answered ${status}`)
  }
  for (let i = 0; i < REQUESTS; i++) await once()
  const startedMs = performance.now()
  for (let i = 0; i < REQUESTS; i++) await once()
  return ((performance.now() - startedMs) * 1000) / REQUESTS
}
