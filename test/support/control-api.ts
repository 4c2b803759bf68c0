import { isDeepStrictEqual } from 'node:util'
import type { Customer } from '../../src/customer/customer.ts'
import type { CustomerRegistry } from '../../src/customer/customer-registry.ts'
import type { TestClock } from '../../src/customer/test-clock.ts'
import { type Api, type Authenticator, createApi, type HttpObserver, type Scope } from '../../src/http/api.ts'
import { createCustomerRoutes } from '../../src/http/customers.ts'
import { createMeterRoutes } from '../../src/http/meters.ts'
import { createPlanRoutes } from '../../src/http/plans.ts'
import { createSubscriptionRoutes } from '../../src/http/subscriptions.ts'
import { createTestClockRoutes } from '../../src/http/test-clocks.ts'
import type { ApiKeyId, CustomerKey, SubscriptionId, TenantId, TestClockId } from '../../src/id/ids.ts'
import type { Instant } from '../../src/time/instant.ts'
import { at } from './gate.ts'
import { createMemoryMeters, createMemoryPlans, pageIn } from './memory-catalog.ts'
import { createMemorySubscriptions, type MemorySubscriptions } from './memory-subscriptions.ts'

export interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly headers: Headers
}

interface CallOptions {
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as it is, in place of the body. */
  readonly raw?: string | Uint8Array<ArrayBuffer>
}

export interface ControlApi {
  readonly api: Api
  now: Instant
  /** How often a write was settled before its answer. */
  settled: number
  readonly subscriptions: MemorySubscriptions
  readonly advanced: { readonly id: TestClockId; readonly to: Instant }[]
  readonly call: (method: string, path: string, body?: unknown, options?: CallOptions) => Promise<Answer>
}

/** Keys are named by their scope; `other` is an administrator of another tenant. */
const scopeAuthenticator: Authenticator = {
  authenticate: (key) =>
    key === 'admin' || key === 'read' || key === 'ingest' || key === 'other'
      ? {
          kind: 'authenticated',
          principal: {
            tenant: (key === 'other' ? 'ten_2' : 'ten_1') as TenantId,
            keyId: `key_${key}` as ApiKeyId,
            scopes: [key === 'other' ? 'admin' : (key satisfies Scope)],
          },
        }
      : { kind: 'refused', status: 401, code: 'unknownKey', detail: 'There is no such key.' },
}

/** The routes of the control plane on registries in memory, at 2026-03-10T12:00:00Z. */
export function openControlApi(metrics?: HttpObserver): ControlApi {
  const clock = { now: () => control.now }
  const meters = createMemoryMeters()
  const testClocks = new Map<TestClockId, TestClock>()
  const customers = createMemoryCustomers(testClocks, () => control.subscriptions)
  const plans = createMemoryPlans(meters, () => control.subscriptions.all())
  let ids = 0
  let requests = 0
  const api = createApi({
    newRequestId: () => `req_${++requests}`,
    onFault: (error) => {
      throw error
    },
    ...(metrics === undefined ? {} : { metrics }),
  })
  const control: ControlApi = {
    api,
    now: at('2026-03-10T12:00:00Z'),
    settled: 0,
    advanced: [],
    subscriptions: createMemorySubscriptions({
      customerOf: (tenant, key) => customers.get(tenant, key),
      plans,
      testClockNow: async (tenant, key) => {
        const id = (await customers.get(tenant, key))?.testClock ?? null
        return id === null ? null : (testClocks.get(id)?.now ?? null)
      },
    }),
    call: async (method, path, body, { key = 'admin', headers = {}, raw } = {}) => {
      const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body))
      const response = await api.request(path, {
        method,
        headers: {
          ...(key === '' ? {} : { authorization: `Bearer ${key}` }),
          ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(payload === undefined ? {} : { body: payload }),
      })
      const text = await response.text()
      return {
        status: response.status,
        body: text === '' ? {} : (JSON.parse(text) as Answer['body']),
        headers: response.headers,
      }
    },
  }
  const common = {
    authenticator: scopeAuthenticator,
    clock,
    settle: async () => {
      control.settled++
    },
  }
  api.route('/', createMeterRoutes({ ...common, meters }))
  api.route('/', createCustomerRoutes({ ...common, customers }))
  api.route('/', createPlanRoutes({ ...common, plans }))
  api.route(
    '/',
    createSubscriptionRoutes({
      ...common,
      subscriptions: control.subscriptions,
      plans,
      newId: () => `sub_${++ids}` as SubscriptionId,
    }),
  )
  api.route(
    '/',
    createTestClockRoutes({
      ...common,
      testClocks: {
        get: async (tenant, id) => {
          const found = testClocks.get(id)
          return found?.tenant === tenant ? found : null
        },
        list: async (tenant, page) => pageIn(testClocks.values(), tenant, page, (one) => one.id),
        create: async (made) => {
          const there = testClocks.get(made.id)
          if (there !== undefined) return { kind: 'exists', clock: there }
          testClocks.set(made.id, made)
          return { kind: 'created', clock: made }
        },
      },
      advance: async (tenant, id, to) => {
        const found = testClocks.get(id)
        if (found?.tenant !== tenant) return { kind: 'unknown' }
        if (to < found.now) return { kind: 'backwards', clock: found }
        const moved = { ...found, now: to }
        testClocks.set(id, moved)
        control.advanced.push({ id, to })
        return { kind: 'advanced', clock: moved }
      },
      newId: () => `clk_${++ids}` as TestClockId,
    }),
  )
  return control
}

/** The port's promises in memory, attributions left out. */
function createMemoryCustomers(
  testClocks: ReadonlyMap<TestClockId, TestClock>,
  subscriptions: () => MemorySubscriptions,
): CustomerRegistry {
  const customers = new Map<string, Customer>()
  const get = (tenant: TenantId, key: CustomerKey): Customer | null =>
    customers.get(`${tenant} ${key}`) ?? null
  return {
    get: async (tenant, key) => get(tenant, key),
    list: async (tenant, page) => pageIn(customers.values(), tenant, page, (one) => one.key),
    attributions: async () => [],
    put: async (tenant, key, definition, now) => {
      const before = get(tenant, key)
      const { testClock } = definition
      if (testClock !== null && testClocks.get(testClock)?.tenant !== tenant) {
        return { kind: 'unknownTestClock', testClock }
      }
      const subscribed = (await subscriptions().ofCustomer(tenant, key)).length > 0
      if (before !== null && subscribed) {
        if (before.currency !== definition.currency) return { kind: 'fixed', member: 'currency' }
        if (before.testClock !== testClock) return { kind: 'fixed', member: 'testClock' }
      }
      for (const subject of definition.subjects) {
        const by = [...customers.values()].find(
          (one) => one.tenant === tenant && one.key !== key && one.subjects.includes(subject),
        )
        if (by !== undefined) return { kind: 'subjectTaken', subject, by: by.key }
      }
      const customer = { ...definition, tenant, key, createdAt: before?.createdAt ?? now, updatedAt: now }
      if (before !== null && isDeepStrictEqual({ ...customer, updatedAt: before.updatedAt }, before)) {
        return { kind: 'unchanged', customer: before }
      }
      customers.set(`${tenant} ${key}`, customer)
      return { kind: before === null ? 'created' : 'replaced', customer }
    },
  }
}
