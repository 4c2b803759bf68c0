import { describe, expect, it } from 'vitest'
import type { Attribution, Customer } from '../../src/customer/customer.ts'
import { type Authenticator, createApi } from '../../src/http/api.ts'
import { createUsageRoutes } from '../../src/http/usage.ts'
import type { ApiKeyId, CustomerKey, SubjectId } from '../../src/id/ids.ts'
import { instantOf } from '../../src/time/instant.ts'
import type { Cut } from '../../src/usage/coordinate.ts'
import type { UsageAnswer, UsageRequest } from '../../src/usage/usage-query.ts'
import { aMeter, TENANT } from '../support/aggregating.ts'

const authenticator: Authenticator = {
  authenticate: () => ({
    kind: 'authenticated',
    principal: { tenant: TENANT, keyId: 'key_1' as ApiKeyId, scopes: ['read'] },
  }),
}

function anApi(answer: Partial<UsageAnswer> = {}, reached = true) {
  const asked: UsageRequest[] = []
  const awaited: Cut[] = []
  const spans: Readonly<Record<string, readonly Attribution[]>> = {
    acme: [
      { subject: 'a' as SubjectId, from: null, until: instantOf(500) },
      { subject: 'b' as SubjectId, from: null, until: null },
    ],
    globex: [{ subject: 'a' as SubjectId, from: instantOf(500), until: null }],
  }
  const keys = Object.keys(spans) as CustomerKey[]
  const customerOf = (key: CustomerKey): Customer => ({ key }) as Customer
  const api = createApi({ newRequestId: () => 'req_1', onFault: (error) => console.error(error) })
  const meter = aMeter({ groupBy: { model: 'model' } })
  const at = instantOf(0)
  api.route(
    '/',
    createUsageRoutes({
      authenticator,
      usage: {
        query: async (request) => {
          asked.push(request)
          return { rows: [], asOf: [{ partition: 0, offset: 3 }], freshnessSeconds: 0.2, ...answer }
        },
      },
      journal: {
        waitForJournal: async (cut) => {
          awaited.push(cut)
          return reached
        },
      },
      meters: {
        get: async (_tenant, key) => (key === 'tokens' ? { meter, createdAt: at, updatedAt: at } : null),
      },
      customers: {
        get: async (_tenant, key) => (keys.includes(key) ? customerOf(key) : null),
        list: async () => ({ data: keys.map(customerOf), next: null }),
        attributions: async (_tenant, key) => spans[key] ?? [],
      },
    }),
  )
  const get = (query: string, headers: Record<string, string> = {}, meterKey = 'tokens') =>
    api.request(`/v1/meters/${meterKey}/usage?${query}`, {
      headers: { authorization: 'Bearer any', ...headers },
    })
  return { get, asked, awaited }
}

const DAY = 'from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z'

describe('GET /v1/meters/{key}/usage', () => {
  it('answers every window where nothing is grouped by, and says what it is exact as of', async () => {
    const interval = {
      start: instantOf(Date.UTC(2026, 2, 1, 1)),
      end: instantOf(Date.UTC(2026, 2, 1, 2)),
    }
    const { get } = anApi({ rows: [{ interval, group: {}, value: '12.5', events: 2, unusable: 1 }] })
    const response = await get('from=2026-03-01T00:00:00Z&to=2026-03-01T03:00:00Z&window=hour')
    expect(await response.json()).toEqual({
      data: [
        ...[['2026-03-01T00:00:00Z', '2026-03-01T01:00:00Z', '0', 0, 0]],
        ...[['2026-03-01T01:00:00Z', '2026-03-01T02:00:00Z', '12.5', 2, 1]],
        ...[['2026-03-01T02:00:00Z', '2026-03-01T03:00:00Z', '0', 0, 0]],
      ].map(([start, end, value, events, unusable]) => ({ start, end, group: {}, value, events, unusable })),
      asOf: { journal: { '0': 3 }, freshnessSeconds: 0.2 },
    })
  })

  it('asks for the spans in which subjects were the customer’s', async () => {
    const { get, asked } = anApi()
    await get(`${DAY}&customer=acme`)
    expect(asked[0]?.owners).toEqual([
      { subject: 'a', customer: 'acme', from: null, until: 500 },
      { subject: 'b', customer: 'acme', from: null, until: null },
    ])
    await get(`${DAY}&groupBy=customer,model&subject=a&filter[model]=x&filter[model]=y`)
    expect(asked[1]).toMatchObject({
      ...{ byCustomer: true, bySubject: false, groupBy: ['model'], subjects: ['a'] },
      filters: { model: ['x', 'y'] },
    })
    expect(asked[1]?.owners).toHaveLength(3)
  })

  it('waits for receipts, and answers 503 when they do not count in time', async () => {
    const { get, awaited } = anApi()
    expect((await get(`${DAY}&receipt=3:17:5&receipt=3:12&receipt=1:0`)).status).toBe(200)
    expect(awaited).toEqual([
      [
        { partition: 3, offset: 18 },
        { partition: 1, offset: 1 },
      ],
    ])
    const behind = await anApi({}, false).get(`${DAY}&receipt=3:17`)
    expect(behind.status).toBe(503)
    expect(behind.headers.get('retry-after')).toBe('5')
    expect(await behind.json()).toMatchObject({ code: 'journalBehind' })
  })

  it('answers CSV in which no text is a formula', async () => {
    const interval = { start: instantOf(0), end: instantOf(3_600_000) }
    const { get } = anApi({
      rows: [
        {
          ...{ interval, subject: '=1+1' as SubjectId, group: { model: 'a,b' } },
          ...{ value: '-5', events: 1, unusable: 0 },
        },
      ],
    })
    const response = await get('groupBy=subject,model', { accept: 'text/csv' })
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(await response.text()).toBe(
      'start,end,subject,model,value,events,unusable\r\n1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,\'=1+1,"a,b",-5,1,0\r\n',
    )
    expect((await get(`${DAY}&format=csv`)).headers.get('content-type')).toContain('text/csv')
  })

  it.each([
    ['window=fortnight', '/window', 'one of hour, day, week, month, none'],
    ['window=day', '/from', 'need both ends'],
    [`from=yesterday`, '/from', 'RFC 3339'],
    ['from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z', '/to', 'later than from'],
    [`${DAY}&timezone=Mars/Olympus`, '/timezone', 'IANA'],
    [`${DAY}&groupBy=colour`, '/groupBy', 'it has model'],
    [`${DAY}&filter[colour]=red`, '/filter[colour]', 'it has model'],
    [`${DAY}&costumer=acme`, '/costumer', 'there are from, to'],
    [`${DAY}&receipt=9:1`, '/receipt', 'partition 9'],
    [`${DAY}&receipt=latest`, '/receipt', 'partition:offset'],
    [`${DAY}&format=xml`, '/format', 'json or csv'],
    [`${DAY}&subject=`, '/subject', 'empty'],
    [`${DAY}&window=day&window=hour`, '/window', 'more than once'],
    ['from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z&window=hour', '/window', '8784'],
  ])('refuses %s', async (query, pointer, detail) => {
    const { get, asked } = anApi()
    const response = await get(query)
    expect(response.status).toBe(400)
    const problem = (await response.json()) as { code: string; errors: { pointer: string; detail: string }[] }
    expect(problem.code).toBe('invalidRequest')
    expect(problem.errors).toContainEqual({ pointer, detail: expect.stringContaining(detail) as string })
    expect(asked).toEqual([])
  })

  it('answers 404 for a meter or customer that is not there', async () => {
    const { get } = anApi()
    expect(await (await get(DAY, {}, 'none')).json()).toMatchObject({ status: 404, code: 'unknownMeter' })
    expect(await (await get(`${DAY}&customer=initech`)).json()).toMatchObject({
      ...{ status: 404, code: 'unknownCustomer' },
    })
  })

  it('refuses more rows than one answer has', async () => {
    const interval = { start: instantOf(0), end: instantOf(1) }
    const row = { interval, group: { model: '' }, value: '1', events: 1, unusable: 0 }
    const response = await anApi({ rows: Array.from({ length: 10_001 }, () => row) }).get('groupBy=model')
    expect(await response.json()).toMatchObject({ status: 400, code: 'tooManyRows' })
  })
})
