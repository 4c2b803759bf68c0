import { describe, expect, it } from 'vitest'
import { type Answer, type ControlApi, openControlApi } from '../support/control-api.ts'
import { at } from '../support/gate.ts'

const flat = (amount: string) => ({
  key: 'base',
  name: 'Base',
  payment: 'inArrears',
  price: { model: 'flat', amount },
})
const PLAN = { name: 'P', currency: 'USD', interval: 'month', prices: [flat('10')] }

/** The customer acme in Berlin, and plans to move to. */
async function open(customer: object = {}): Promise<ControlApi> {
  const control = openControlApi()
  await control.call('POST', '/v1/test-clocks', { id: 'clk', now: '2026-01-20T00:00:00Z' })
  const acme = { name: 'Acme', currency: 'USD', timezone: 'Europe/Berlin', ...customer }
  expect((await control.call('PUT', '/v1/customers/acme', acme)).status).toBe(200)
  for (const [key, change] of Object.entries({
    p: {},
    pro: { prices: [flat('99')] },
    euro: { currency: 'EUR' },
    yearly: { interval: 'year' },
    weekly: { interval: 'week' },
  })) {
    expect((await control.call('PUT', `/v1/plans/${key}`, { ...PLAN, ...change })).status).toBe(200)
  }
  control.settled = 0
  return control
}

async function subscribed(more: object = {}, customer: object = {}): Promise<ControlApi> {
  const control = await open(customer)
  const body = { customer: 'acme', plan: 'p', startsAt: '2026-01-31T10:00:00Z', ...more }
  expect((await control.call('POST', '/v1/subscriptions', body)).status).toBe(201)
  control.settled = 0
  return control
}
const step = ({ call }: ControlApi, name: string, body?: object): Promise<Answer> =>
  call('POST', `/v1/subscriptions/sub_1/${name}`, body)
const pointers = ({ body }: Answer): unknown =>
  (body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer)

describe('POST /v1/subscriptions', () => {
  it('subscribes, says where it is, and shows the period that runs', async () => {
    const control = await open()
    const made = await control.call('POST', '/v1/subscriptions', {
      customer: 'acme',
      plan: 'p',
      startsAt: '2026-01-31T10:00:00Z',
    })
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe('/v1/subscriptions/sub_1')
    expect(made.body).toEqual({
      id: 'sub_1',
      customer: 'acme',
      plan: 'p',
      planVersion: 1,
      state: 'active',
      startsAt: '2026-01-31T10:00:00Z',
      endsAt: null,
      anchorDay: 31,
      timezone: 'Europe/Berlin',
      currentPeriod: { start: '2026-02-27T23:00:00Z', end: '2026-03-30T22:00:00Z' },
      cancelAt: null,
      endedAt: null,
      overrides: {},
      phases: [{ start: '2026-01-31T10:00:00Z', plan: 'p', version: 1, reason: 'created', overrides: {} }],
      pauses: [],
      createdAt: '2026-03-10T12:00:00Z',
      updatedAt: '2026-03-10T12:00:00Z',
    })
    expect(control.settled).toBe(1)
    expect((await control.call('GET', '/v1/subscriptions/sub_1')).body).toEqual(made.body)
  })

  it('starts at the customer’s now where no start is given, by its test clock', async () => {
    const { call } = await open({ testClock: 'clk' })
    const made = await call('POST', '/v1/subscriptions', { customer: 'acme', plan: 'p', anchorDay: 1 })
    expect(made.body).toMatchObject({
      state: 'active',
      startsAt: '2026-01-20T00:00:00Z',
      currentPeriod: { start: '2026-01-20T00:00:00Z', end: '2026-01-31T23:00:00Z' },
    })
  })

  it('waits for a start in the future, in no period until then', async () => {
    const { call } = await open()
    const body = { customer: 'acme', plan: 'p', startsAt: '2026-04-01T00:00:00Z' }
    expect((await call('POST', '/v1/subscriptions', body)).body).toMatchObject({
      state: 'pending',
      currentPeriod: null,
    })
  })

  it.each([
    ['unknownCustomer', { customer: 'none' }, '/customer'],
    ['unknownPlan', { plan: 'none' }, '/plan'],
    ['currencyDiffers', { plan: 'euro' }, '/plan'],
    ['anchorOutOfRange', { plan: 'weekly', anchorDay: 8 }, '/anchorDay'],
    ['faultyOverrides', { overrides: { bse: {} } }, '/overrides/bse'],
  ])('%s: 422', async (code, change, pointer) => {
    const control = await open()
    const answer = await control.call('POST', '/v1/subscriptions', {
      customer: 'acme',
      plan: 'p',
      ...change,
    })
    expect([answer.status, answer.body['code'], pointers(answer)]).toEqual([422, code, [pointer]])
    expect(control.settled).toBe(0)
  })

  it('tells every fault of a body at once', async () => {
    const { call } = await open()
    const answer = await call('POST', '/v1/subscriptions', {
      costumer: 'acme',
      plan: '-',
      startsAt: 'tomorrow',
      anchorDay: 32,
      overrides: [],
    })
    expect(answer.status).toBe(400)
    expect(pointers(answer)).toEqual([
      '/costumer',
      '/customer',
      '/plan',
      '/startsAt',
      '/anchorDay',
      '/overrides',
    ])
    expect(answer.body['detail']).toContain('did you mean "customer"?')
  })
})

describe('GET /v1/subscriptions', () => {
  it('lists by age, filtered by customer and plan', async () => {
    const control = await subscribed()
    await control.call('PUT', '/v1/customers/b', { name: 'B', currency: 'USD', timezone: 'UTC' })
    await control.call('POST', '/v1/subscriptions', { customer: 'b', plan: 'pro' })
    const ids = async (query: string): Promise<unknown> => {
      const { body } = await control.call('GET', `/v1/subscriptions${query}`)
      return (body['data'] as { id: string }[]).map(({ id }) => id)
    }
    expect(await ids('')).toEqual(['sub_1', 'sub_2'])
    expect(await ids('?customer=acme')).toEqual(['sub_1'])
    expect(await ids('?plan=pro')).toEqual(['sub_2'])
    expect(await ids('?customer=acme&plan=pro')).toEqual([])
    const first = await control.call('GET', '/v1/subscriptions?limit=1')
    expect(await ids(`?limit=1&cursor=${String(first.body['nextCursor'])}`)).toEqual(['sub_2'])
  })

  it('answers 404 for an unknown one, and for one of another tenant', async () => {
    const { call } = await subscribed()
    for (const [path, key] of [
      ['/v1/subscriptions/sub_9', 'admin'],
      ['/v1/subscriptions/sub_9/history', 'admin'],
      ['/v1/subscriptions/sub_1', 'other'],
      ['/v1/subscriptions/sub_1/history', 'other'],
    ] as const) {
      const answer = await call('GET', path, undefined, { key })
      expect([answer.status, answer.body['code']]).toEqual([404, 'unknownSubscription'])
    }
  })
})

describe('commands', () => {
  it('cancels at once, with or without a body; the history says why', async () => {
    for (const body of [undefined, {}, { at: 'now' }]) {
      const control = await subscribed()
      const answer = await step(control, 'cancel', body)
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject({
        state: 'canceled',
        endedAt: '2026-03-10T12:00:00Z',
        endsAt: '2026-03-10T12:00:00Z',
        currentPeriod: null,
      })
      expect(control.settled).toBe(1)
    }
    const control = await subscribed()
    await step(control, 'cancel', { reason: 'too dear' })
    expect((await control.call('GET', '/v1/subscriptions/sub_1/history')).body).toEqual({
      data: [
        { event: 'subscription.created', at: '2026-03-10T12:00:00Z', detail: { plan: 'p' } },
        { event: 'subscription.activated', at: '2026-01-31T10:00:00Z', detail: {} },
        { event: 'subscription.canceled', at: '2026-03-10T12:00:00Z', detail: { reason: 'too dear' } },
      ],
      nextCursor: null,
      hasMore: false,
    })
  })

  it('cancels at the end of the period, and takes that back', async () => {
    const control = await subscribed()
    const scheduled = await step(control, 'cancel', { at: 'periodEnd' })
    expect(scheduled.body).toMatchObject({
      state: 'active',
      cancelAt: '2026-03-30T22:00:00Z',
      endsAt: '2026-03-30T22:00:00Z',
      endedAt: null,
    })
    expect((await step(control, 'uncancel')).body).toMatchObject({ state: 'active', endsAt: null })
  })

  it('cancels at a time, which cuts the period off', async () => {
    const control = await subscribed()
    const answer = await step(control, 'cancel', { at: '2026-03-20T00:00:00Z' })
    expect(answer.body).toMatchObject({
      cancelAt: '2026-03-20T00:00:00Z',
      currentPeriod: { end: '2026-03-20T00:00:00Z' },
    })
    control.now = at('2026-03-21T00:00:00Z')
    expect((await step(control, 'pause')).body).toMatchObject({
      code: 'illegalTransition',
      state: 'canceled',
    })
  })

  it('pauses until a time or until it is resumed', async () => {
    const control = await subscribed()
    const paused = await step(control, 'pause', { resumeAt: '2026-04-01T00:00:00Z' })
    expect(paused.body).toMatchObject({
      state: 'paused',
      pauses: [{ start: '2026-03-10T12:00:00Z', end: '2026-04-01T00:00:00Z' }],
    })
    control.now = at('2026-03-12T00:00:00Z')
    expect((await step(control, 'resume')).body).toMatchObject({
      state: 'active',
      pauses: [{ start: '2026-03-10T12:00:00Z', end: '2026-03-12T00:00:00Z' }],
    })
    expect((await step(control, 'pause')).body).toMatchObject({ pauses: [{}, { end: null }] })
  })

  it('changes to another plan, now or later, and to overrides', async () => {
    const control = await subscribed()
    expect((await step(control, 'change', { plan: 'pro' })).body).toMatchObject({
      plan: 'pro',
      phases: [{ plan: 'p' }, { start: '2026-03-10T12:00:00Z', plan: 'pro', reason: 'change' }],
    })
    const overrides = { base: { price: { model: 'flat', amount: '5' } } }
    const later = await step(control, 'change', { plan: 'p', at: 'periodEnd', overrides })
    expect(later.body).toMatchObject({
      plan: 'pro',
      phases: [{}, {}, { start: '2026-03-30T22:00:00Z', plan: 'p', overrides }],
    })
    control.now = at('2026-04-02T00:00:00Z')
    expect((await control.call('GET', '/v1/subscriptions/sub_1')).body).toMatchObject({
      plan: 'p',
      overrides,
    })
  })

  it.each([
    ['resume', undefined, 'active'],
    ['pause', undefined, 'paused'],
    ['change', { plan: 'pro' }, 'paused'],
    ['cancel', undefined, 'canceled'],
    ['uncancel', undefined, 'canceled'],
    ['pause', undefined, 'canceled'],
    ['resume', undefined, 'canceled'],
    ['change', { plan: 'pro' }, 'canceled'],
  ])(
    'W7: illegalTransition: %s %o of one that is %s is 409, and nothing is told',
    async (name, body, state) => {
      const control = await subscribed()
      if (state === 'paused') await step(control, 'pause')
      if (state === 'canceled') await step(control, 'cancel')
      const before = await control.call('GET', '/v1/subscriptions/sub_1/history')
      control.settled = 0
      const answer = await step(control, name, body)
      expect([answer.status, answer.body['code'], answer.body['state']]).toEqual([
        409,
        'illegalTransition',
        state,
      ])
      expect(answer.body['detail']).toContain(`sub_1 is ${state}, it cannot be`)
      expect(control.settled).toBe(0)
      expect((await control.call('GET', '/v1/subscriptions/sub_1/history')).body).toEqual(before.body)
    },
  )

  it.each([
    ['cancel', { at: '2026-03-10T12:00:00Z' }, 'notInFuture', '/at'],
    ['change', { plan: 'pro', at: '2026-01-01T00:00:00Z' }, 'notInFuture', '/at'],
    ['pause', { resumeAt: '2026-03-10T11:59:59Z' }, 'notInFuture', '/resumeAt'],
    ['change', { plan: 'none' }, 'unknownPlan', '/plan'],
    ['change', { plan: 'euro' }, 'currencyDiffers', '/plan'],
    ['change', { plan: 'yearly' }, 'intervalDiffers', '/plan'],
    ['change', { plan: 'pro', overrides: { x: {} } }, 'faultyOverrides', '/overrides/x'],
  ])('%s %o: 422 %s', async (name, body, code, pointer) => {
    const answer = await step(await subscribed(), name, body)
    expect([answer.status, answer.body['code'], pointers(answer)]).toEqual([422, code, [pointer]])
  })

  it.each([
    ['cancel', { at: 'tomorrow' }, ['/at']],
    ['cancel', { when: 'now', reason: 5 }, ['/when', '/reason']],
    ['uncancel', { at: 'now' }, ['/at']],
    ['resume', { resumeAt: null }, ['/resumeAt']],
    ['pause', { at: 'now' }, ['/at']],
    ['change', { at: 'now' }, ['/plan']],
    ['change', { plan: 'pro', overrides: 'none' }, ['/overrides']],
    ['cancel', [], ['']],
  ])('%s %o: 400 at %o', async (name, body, at) => {
    const answer = await step(await subscribed(), name, body)
    expect([answer.status, pointers(answer)]).toEqual([400, at])
  })

  it('change needs a body', async () => {
    const answer = await step(await subscribed(), 'change')
    expect([answer.status, answer.body['detail']]).toEqual([400, 'The body is missing.'])
  })

  it.each(['cancel', 'uncancel', 'pause', 'resume', 'change'])('%s: 404 and 403', async (name) => {
    const { call } = await subscribed()
    const body = name === 'change' ? { plan: 'pro' } : undefined
    const at = (id: string, key: string) => call('POST', `/v1/subscriptions/${id}/${name}`, body, { key })
    expect((await at('sub_9', 'admin')).body).toMatchObject({ status: 404, code: 'unknownSubscription' })
    expect((await at('sub_1', 'other')).status).toBe(404)
    expect((await at('sub_1', 'read')).body).toMatchObject({ status: 403, code: 'insufficientScope' })
  })
})
