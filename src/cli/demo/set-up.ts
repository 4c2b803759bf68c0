import { z } from 'zod'
import { type ApiClient, ApiProblem, readShape } from '../api-client.ts'
import { CUSTOMER, METERS, PLAN, PLAN_BODY, QUOTA, QUOTA_BODY } from './catalog.ts'
import type { DemoMonth } from './months.ts'

export interface DemoTenant {
  readonly clockId: string
  /** Where the customer's clock stands; later than the first month when the data directory was used before. */
  readonly clockNow: string
  /** Of the emitting service; no quota touches it, for usage that happened is always recorded. */
  readonly ingestKey: string
  /** Of the customer's callers; it has the quota. */
  readonly gatedKey: string
}

const clockShape = z.object({ id: z.string(), now: z.string() })
const keyShape = z.object({ id: z.string(), key: z.string() })
const customerShape = z.object({ testClock: z.string().nullish() })
const subscriptionShape = z.object({ plan: z.string(), state: z.string().optional() })

/** Creates what the demo needs through the public API. A second run on the same data finds the customer and goes on with it. */
export async function setUpTenant(api: ApiClient, first: DemoMonth): Promise<DemoTenant> {
  const clock = (await clockOfCustomer(api)) ?? (await createClock(api, first.sendAt))
  for (const [key, meter] of Object.entries(METERS)) await api.json('PUT', `/v1/meters/${key}`, meter)
  await api.json('PUT', `/v1/plans/${PLAN}`, PLAN_BODY)
  await api.json('PUT', `/v1/customers/${CUSTOMER}`, {
    name: 'Acme Inc.',
    subjects: [CUSTOMER],
    currency: 'USD',
    timezone: 'UTC',
    testClock: clock.id,
  })
  if (!(await isSubscribed(api))) {
    await api.json('POST', '/v1/subscriptions', { customer: CUSTOMER, plan: PLAN, startsAt: first.start })
  }
  await api.json('PUT', `/v1/quotas/${QUOTA}`, QUOTA_BODY)
  const ingestKey = await createKey(api, { name: 'emitting service', scopes: ['ingest'] })
  const gatedKey = await createKey(api, {
    name: 'calls of acme',
    subject: CUSTOMER,
    scopes: ['read'],
    quotas: [QUOTA],
  })
  return { clockId: clock.id, clockNow: clock.now, ingestKey, gatedKey }
}

export async function advanceClock(api: ApiClient, clockId: string, to: string): Promise<void> {
  await api.json('POST', `/v1/test-clocks/${encodeURIComponent(clockId)}/advance`, { to })
}

async function createClock(api: ApiClient, now: string): Promise<z.infer<typeof clockShape>> {
  const path = '/v1/test-clocks'
  return readShape(clockShape, await api.json('POST', path, { now }), path)
}

async function clockOfCustomer(api: ApiClient): Promise<z.infer<typeof clockShape> | null> {
  const path = `/v1/customers/${CUSTOMER}`
  try {
    const { testClock } = readShape(customerShape, await api.json('GET', path), path)
    if (testClock === null || testClock === undefined) return null
    const clockPath = `/v1/test-clocks/${encodeURIComponent(testClock)}`
    return readShape(clockShape, await api.json('GET', clockPath), clockPath)
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 404) return null
    throw error
  }
}

async function isSubscribed(api: ApiClient): Promise<boolean> {
  for (const item of await api.list('/v1/subscriptions', { customer: CUSTOMER })) {
    const subscription = readShape(subscriptionShape, item, '/v1/subscriptions')
    if (subscription.plan === PLAN) return true
  }
  return false
}

async function createKey(
  api: ApiClient,
  body: { name: string; scopes: readonly string[]; subject?: string; quotas?: readonly string[] },
): Promise<string> {
  return readShape(keyShape, await api.json('POST', '/v1/keys', { customer: CUSTOMER, ...body }), '/v1/keys')
    .key
}
