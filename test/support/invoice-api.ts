import type { ApiKeyId, CustomerKey, TenantId } from '../../src/id/ids.ts'
import { createApi, type Api, type Principal } from '../../src/http/api.ts'
import { createCreditNoteRoutes } from '../../src/http/credit-notes.ts'
import { createInvoiceEvidenceRoutes } from '../../src/http/invoice-evidence.ts'
import { createInvoiceRoutes } from '../../src/http/invoices.ts'
import { createExportRoutes } from '../../src/http/exports.ts'
import { createPaymentRoutes } from '../../src/http/payments.ts'
import { createCrediting } from '../../src/invoice/crediting.ts'
import { createInvoiceEvidence } from '../../src/invoice/evidence.ts'
import { createInvoicing } from '../../src/invoice/invoicing.ts'
import { createRatedUsage } from '../../src/invoice/rated-usage.ts'
import { createInvoiceVerifier } from '../../src/invoice/verify.ts'
import { fakeDeps, fakeUsage, TENANT, type FakeBilling } from './invoicing.ts'
import { memoryStore, type MemoryInvoiceStore } from './memory-invoice-store.ts'

interface Answer {
  readonly status: number
  readonly type: string
  readonly headers: Headers
  readonly body: Record<string, unknown>
  readonly bytes: Uint8Array
}

export interface InvoiceApi {
  readonly store: MemoryInvoiceStore
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
    options?: { readonly key?: string; readonly headers?: Readonly<Record<string, string>> },
  ) => Promise<Answer>
}

/** Every invoice route on memory stores; the keys are `admin`, `read`, `ingest` and `other` (another tenant's). */
export function openInvoiceApi(given: FakeBilling): InvoiceApi {
  const store = memoryStore()
  const source = fakeUsage(given.events ?? [])
  const commitment = { evidence: source, leavesMax: 1000 }
  const deps = fakeDeps({ commitment, usage: source, ...given, store })
  const invoicing = createInvoicing(deps)
  const nowOf = (tenant: TenantId, customer: CustomerKey) => deps.time.nowOf(tenant, customer)
  const authenticator = {
    authenticate: (key: string) => {
      const scopes = key === 'other' ? (['admin'] as const) : ([key] as Principal['scopes'])
      const tenant = key === 'other' ? ('other' as TenantId) : TENANT
      return { kind: 'authenticated' as const, principal: { tenant, keyId: key as ApiKeyId, scopes } }
    },
  }
  let made = 0
  const api: Api = createApi({
    newRequestId: () => `req_${++made}`,
    onFault: (error) => {
      throw error
    },
  })
  const { receivables, creditNotes } = store
  api.route('/', createInvoiceRoutes({ authenticator, invoicing, nowOf }))
  api.route(
    '/',
    createInvoiceEvidenceRoutes({
      authenticator,
      evidence: createInvoiceEvidence({ archive: store, evidence: source }),
      verifier: createInvoiceVerifier({
        archive: store,
        usage: deps.usage,
        commitment,
        journalWaitMs: 1000,
      }),
    }),
  )
  api.route(
    '/',
    createPaymentRoutes({ authenticator, store, receivables, nowOf, newPaymentId: () => `pay_${++made}` }),
  )
  api.route(
    '/',
    createCreditNoteRoutes({
      authenticator,
      store,
      creditNotes,
      crediting: createCrediting({ store, receivables }),
      nowOf,
    }),
  )
  const ratedUsage = createRatedUsage({ ...deps, creditNotes, lines: store.exports })
  api.route('/', createExportRoutes({ authenticator, ratedUsage }))
  return {
    store,
    call: async (method, path, body, { key = 'admin', headers = {} } = {}) => {
      const response = await api.request(path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const bytes = new Uint8Array(await response.arrayBuffer())
      const type = response.headers.get('content-type') ?? ''
      return {
        status: response.status,
        type,
        headers: response.headers,
        bytes,
        body: /[/+]json/.test(type)
          ? (JSON.parse(Buffer.from(bytes).toString('utf8')) as Answer['body'])
          : {},
      }
    },
  }
}
