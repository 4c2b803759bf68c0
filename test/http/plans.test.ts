import { describe, expect, it } from 'vitest'
import { METERS, PLAN_BODY } from '../../src/cli/demo/catalog.ts'
import { type ControlApi, openControlApi } from '../support/control-api.ts'

async function withMeters(): Promise<ControlApi> {
  const control = openControlApi()
  for (const [key, meter] of Object.entries(METERS)) {
    expect((await control.call('PUT', `/v1/meters/${key}`, meter)).status).toBe(200)
  }
  return control
}
const flat = (amount: string, more: object = {}) => ({
  key: 'base',
  name: 'Base',
  payment: 'inArrears',
  price: { model: 'flat', amount },
  ...more,
})
const PLAN = { name: 'P', currency: 'USD', interval: 'month', prices: [flat('10')] }

async function subscribed(overrides: object = {}): Promise<ControlApi> {
  const control = openControlApi()
  await control.call('PUT', '/v1/plans/p', PLAN)
  await control.call('PUT', '/v1/customers/acme', { name: 'A', currency: 'USD', timezone: 'UTC' })
  const made = await control.call('POST', '/v1/subscriptions', { customer: 'acme', plan: 'p', overrides })
  expect(made.status).toBe(201)
  return control
}

describe('/v1/plans', () => {
  it('takes the demo’s plan, and shows prices as they were written', async () => {
    const control = await withMeters()
    const made = await control.call('PUT', '/v1/plans/llm-api', PLAN_BODY)
    expect(made.status).toBe(200)
    expect(made.body).toEqual({
      ...PLAN_BODY,
      key: 'llm-api',
      version: 1,
      effectiveAt: null,
      existingSubscriptions: 'grandfather',
      createdAt: '2026-03-10T12:00:00Z',
      subscriptionsReached: 0,
    })
    expect(control.settled).toBe(4)
  })

  it('makes a version of a change and none of the same plan again', async () => {
    const { call } = openControlApi()
    await call('PUT', '/v1/plans/p', PLAN)
    expect((await call('PUT', '/v1/plans/p', PLAN)).body).toMatchObject({ version: 1 })
    const changed = { ...PLAN, prices: [flat('12')], effectiveAt: '2026-04-01T00:00:00+02:00' }
    const second = await call('PUT', '/v1/plans/p', changed)
    expect(second.body).toMatchObject({ version: 2, effectiveAt: '2026-03-31T22:00:00Z' })
    expect((await call('GET', '/v1/plans/p')).body).toMatchObject({ version: 2 })
    expect((await call('GET', '/v1/plans/p?version=1')).body).toMatchObject({
      version: 1,
      prices: PLAN.prices,
    })
    const versions = await call('GET', '/v1/plans/p/versions')
    expect(versions.body).toMatchObject({
      data: [{ version: 1 }, { version: 2 }],
      nextCursor: null,
      hasMore: false,
    })
    expect((await call('GET', '/v1/plans')).body).toMatchObject({ data: [{ key: 'p', version: 2 }] })
  })

  it('says how many subscriptions a version reaches', async () => {
    const { call } = await subscribed()
    const change = { ...PLAN, prices: [flat('12')], existingSubscriptions: 'nextRenewal' }
    expect((await call('PUT', '/v1/plans/p', change)).body).toMatchObject({ subscriptionsReached: 1 })
  })

  it('answers 404 for an unknown plan and for an unknown version', async () => {
    const { call } = openControlApi()
    await call('PUT', '/v1/plans/p', PLAN)
    const codes = async (path: string, key = 'admin') => {
      const { status, body } = await call('GET', path, undefined, { key })
      return [status, body['code']]
    }
    expect(await codes('/v1/plans/none')).toEqual([404, 'unknownPlan'])
    expect(await codes('/v1/plans/none?version=1')).toEqual([404, 'unknownPlan'])
    expect(await codes('/v1/plans/none/versions')).toEqual([404, 'unknownPlan'])
    expect(await codes('/v1/plans/p?version=2')).toEqual([404, 'unknownVersion'])
    expect(await codes('/v1/plans/p', 'other')).toEqual([404, 'unknownPlan'])
  })

  it.each(['0', '-1', '1.5', 'one', '1e3', '', '99999999999'])('version=%s is refused', async (version) => {
    const { call } = openControlApi()
    const answer = await call('GET', `/v1/plans/p?version=${version}`)
    expect(answer.status).toBe(400)
    expect(answer.body['errors']).toMatchObject([{ pointer: '/version' }])
  })

  it('metersDoNotFit: 422 at each price that names a meter or dimension that is not there', async () => {
    const { call } = await withMeters()
    const metered = { key: 'u', name: 'U', payment: 'inArrears' }
    const matrix = {
      model: 'matrix',
      dimensions: ['model'],
      cells: [{ match: { model: 'm' }, price: { model: 'unit', unitAmount: '1' } }],
    }
    const answer = await call('PUT', '/v1/plans/p', {
      ...PLAN,
      prices: [
        { ...metered, meter: 'none', price: { model: 'unit', unitAmount: '1' } },
        { ...metered, key: 'v', meter: 'requests', price: matrix },
      ],
    })
    expect([answer.status, answer.body['code']]).toEqual([422, 'metersDoNotFit'])
    expect(answer.body['errors']).toMatchObject([
      { pointer: '/prices/0/meter' },
      { pointer: '/prices/1/price/dimensions/0' },
    ])
  })

  it.each([
    ['currency', { currency: 'EUR' }],
    ['interval', { interval: 'year' }],
  ])('fixedMember: %s cannot change once somebody has subscribed', async (member, change) => {
    const { call } = await subscribed()
    const answer = await call('PUT', '/v1/plans/p', { ...PLAN, ...change })
    expect([answer.status, answer.body['code']]).toEqual([409, 'fixedMember'])
    expect(answer.body['errors']).toMatchObject([{ pointer: `/${member}` }])
  })

  it('overridesDoNotFit: 409 with the subscription whose overrides stand in the way', async () => {
    const { call } = await subscribed({ base: { price: { model: 'flat', amount: '5' } } })
    const answer = await call('PUT', '/v1/plans/p', {
      ...PLAN,
      prices: [flat('1', { key: 'other' })],
      existingSubscriptions: 'immediate',
    })
    expect([answer.status, answer.body['code']]).toEqual([409, 'overridesDoNotFit'])
    expect(answer.body).toMatchObject({ subscription: 'sub_1', errors: [{ pointer: '/prices' }] })
    expect(answer.body['detail']).toContain('/overrides/base')
  })

  it('tells every fault of a body at once', async () => {
    const { call } = openControlApi()
    const answer = await call('PUT', '/v1/plans/p', {
      ...PLAN,
      interval: 'fortnight',
      prices: [flat('-1'), flat('1'), { ...flat('1', { key: 'k' }), amount: '3' }],
    })
    expect(answer.status).toBe(400)
    expect((answer.body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer)).toEqual(
      expect.arrayContaining(['/interval', '/prices/0/price/amount', '/prices/1/key', '/prices/2/amount']),
    )
  })
})
