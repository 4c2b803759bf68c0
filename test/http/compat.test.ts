import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { OpenMeter } from '@openmeter/sdk'
import { Client as createLagoClient } from 'lago-javascript-client'
import Stripe from 'stripe'
import { afterEach, describe, expect, it } from 'vitest'
import { type Authenticator, createApi } from '../../src/http/api.ts'
import type { OpenMeterReads } from '../../src/http/compat/openmeter.ts'
import { createCompatRoutes } from '../../src/http/compat/routes.ts'
import type { ApiKeyId } from '../../src/id/ids.ts'
import { instantOf } from '../../src/time/instant.ts'
import { aCloudEvent, aStage, NOW, type Stage, TENANT } from '../support/ingest.ts'

const authenticator: Authenticator = {
  authenticate: (key) =>
    key === 'good'
      ? {
          kind: 'authenticated',
          principal: { tenant: TENANT, keyId: 'key_1' as ApiKeyId, scopes: ['ingest', 'read'] },
        }
      : { kind: 'refused', status: 401, code: 'unknownKey', detail: 'There is no such key.' },
}

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

interface Compat extends Stage {
  readonly url: string
  readonly faults: unknown[]
  readonly post: (path: string, body: string, headers?: Record<string, string>) => Promise<Response>
}

async function aCompat(openMeterReads?: OpenMeterReads): Promise<Compat> {
  const stage = aStage()
  let ids = 0
  const api = createApi({
    newRequestId: () => 'req_1',
    onFault: (error) => void stage.faults.push(error),
  })
  let now = NOW
  api.route(
    '/',
    createCompatRoutes({
      authenticator,
      ingest: stage.ingest,
      clock: { now: () => now },
      newEventId: () => `generated-${++ids}`,
      subjectOfSubscription: (_, id) => (id === 'sub_known' ? 'acme-prod' : null),
      bodyBytesMax: 100_000,
      ...(openMeterReads === undefined ? {} : { openMeterReads }),
    }),
  )
  const listener = getRequestListener(api.fetch, {
    hostname: '127.0.0.1',
    overrideGlobalObjects: false,
  })
  const server = createServer((request, response) => void listener(request, response))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...stage,
    url,
    setNow: (to) => {
      now = to
      stage.setNow(to)
    },
    post: (path, body, headers = {}) =>
      fetch(url + path, {
        method: 'POST',
        headers: { authorization: 'Bearer good', 'content-type': 'application/json', ...headers },
        body,
      }),
  }
}

/** The events on the log by id: partitions have no order among each other. */
const inOrder = (log: Stage['log']): readonly unknown[] => log.events().sort((a, b) => (a.id < b.id ? -1 : 1))

describe('OpenMeter', () => {
  it('its SDK sends events, one or many', async () => {
    const { url, log } = await aCompat()
    const openmeter = new OpenMeter({ baseUrl: url, apiKey: 'good' })
    const event = {
      type: 'llm.request',
      subject: 'acme-prod',
      data: { tokens: 12, cost: 0.30000000000000004 },
    }
    await openmeter.events.ingest({ ...event, id: 'a', time: new Date(NOW - 1000) })
    await openmeter.events.ingest([
      { ...event, id: 'b', time: new Date(NOW) },
      { ...event, id: 'a', time: new Date(NOW - 1000) },
    ])
    expect(inOrder(log)).toMatchObject([
      { id: 'a', source: '@openmeter/sdk', type: 'llm.request', time: NOW - 1000 },
      { id: 'b', properties: { tokens: '12', cost: '0.30000000000000004' } },
    ])
    expect(log.events()).toHaveLength(2)
  })

  it('its SDK is told what is wrong', async () => {
    const { url, log } = await aCompat()
    const openmeter = new OpenMeter({ baseUrl: url, apiKey: 'good' })
    const bad = { id: 'a', type: 'x', subject: '', time: new Date(NOW) }
    await expect(openmeter.events.ingest(bad)).rejects.toMatchObject({ status: 422 })
    await expect(new OpenMeter({ baseUrl: url, apiKey: 'bad' }).events.ingest(bad)).rejects.toMatchObject({
      status: 401,
    })
    expect(log.events()).toEqual([])
  })

  it.each([
    ['/api/v1/events', 204],
    ['/api/v3/openmeter/events', 202],
  ])('%s takes a single event, structured or plain', async (path, status) => {
    const { post, log } = await aCompat()
    const structured = { 'content-type': 'application/cloudevents+json' }
    expect((await post(path, JSON.stringify(aCloudEvent({ id: 'a' })), structured)).status).toBe(status)
    expect((await post(path, JSON.stringify(aCloudEvent({ id: 'b' })))).status).toBe(status)
    expect((await post(path, JSON.stringify([aCloudEvent({ id: 'c' })]))).status).toBe(status)
    expect(
      log
        .events()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(['a', 'b', 'c'])
  })

  it('its SDK reads meters, entitlements and events', async () => {
    const asked: unknown[] = []
    const hour = instantOf(Date.UTC(2026, 2, 1, 11))
    const { url } = await aCompat({
      meterRows: (_, meter, query) => {
        asked.push(query)
        const row = {
          value: '12.5',
          windowStart: hour,
          windowEnd: NOW,
          subject: 'acme-prod',
          groupBy: { model: 'm' },
        }
        return Promise.resolve(meter === 'tokens' ? [row] : null)
      },
      entitlement: (_, holder, feature) =>
        Promise.resolve(
          feature === 'tokens'
            ? { hasAccess: 'subject' in holder, balance: '7.5', usage: '2.5', overage: null }
            : null,
        ),
      events: () =>
        Promise.resolve([
          {
            id: 'a',
            source: '/s',
            type: 'x',
            subject: 'u',
            time: hour,
            ingestedAt: NOW,
            data: { tokens: '1' },
          },
        ]),
    })
    const openmeter = new OpenMeter({ baseUrl: url, apiKey: 'good' })
    expect(
      await openmeter.meters.query('tokens', {
        windowSize: 'HOUR',
        from: new Date(hour),
        groupBy: ['model'],
        subject: ['acme-prod', 'b'],
      }),
    ).toEqual({
      from: new Date(hour),
      windowSize: 'HOUR',
      data: [
        {
          value: 12.5,
          windowStart: new Date(hour),
          windowEnd: new Date(NOW),
          subject: 'acme-prod',
          groupBy: { model: 'm' },
        },
      ],
    })
    expect(asked).toEqual([
      {
        from: hour,
        to: null,
        windowSize: 'HOUR',
        timezone: 'UTC',
        subjects: ['acme-prod', 'b'],
        groupBy: ['model'],
      },
    ])
    await expect(openmeter.meters.query('other')).rejects.toMatchObject({ status: 404 })
    expect(await openmeter.entitlementsV1.value('acme-prod', 'tokens')).toEqual({
      hasAccess: true,
      balance: 7.5,
      usage: 2.5,
    })
    expect(await openmeter.customers.entitlements.value('acme', 'tokens')).toMatchObject({ hasAccess: false })
    expect((await openmeter.events.list())?.map(({ event }) => event.id)).toEqual(['a'])
  })
})

describe('Lago', () => {
  const event = {
    transaction_id: 'tx-1',
    external_subscription_id: 'sub_1',
    code: 'storage',
    timestamp: '1772366300.5',
    properties: { gb: 10, region: 'eu' },
  }

  it.each(['/api/v1', '/compat/lago/api/v1'])('its client sends to %s', async (base) => {
    const { url, log } = await aCompat()
    const lago = createLagoClient('good', { baseUrl: url + base })
    const { data } = await lago.events.createEvent({ event })
    expect(data.event).toMatchObject({ ...event, timestamp: '2026-03-01T11:58:20.500Z', lago_id: null })
    const batch = await lago.events.createBatchEvents({
      events: [event, { ...event, transaction_id: 'tx-2', precise_total_amount_cents: '12.345' }],
    })
    expect(batch.data.events.map((one) => one.transaction_id)).toEqual(['tx-1', 'tx-2'])
    expect(inOrder(log)).toMatchObject([
      {
        id: 'tx-1',
        source: 'lago',
        type: 'storage',
        subject: 'sub_1',
        time: Date.UTC(2026, 2, 1, 11, 58, 20, 500),
        properties: { gb: '10', region: 'eu' },
      },
      { id: 'tx-2', properties: { precise_total_amount_cents: '12.345' } },
    ])
    expect(log.events()).toHaveLength(2)
  })

  it("takes what LiteLLM's callback sends: no timestamp, a user in the subscription, all digits of a double", async () => {
    const { post, log } = await aCompat()
    const response = await post(
      '/api/v1/events',
      '{"event":{"transaction_id":"u-1","external_subscription_id":"user-7","code":"llm","properties":{"model":"gpt-4o","response_cost":2.8500000000000004e-05,"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}}',
    )
    expect(response.status).toBe(200)
    expect(inOrder(log)).toMatchObject([
      {
        subject: 'user-7',
        time: NOW,
        properties: { response_cost: '0.000028500000000000004', total_tokens: '15' },
      },
    ])
  })

  it('finds the subject of a subscription that is known', async () => {
    const { post, log } = await aCompat()
    await post(
      '/api/v1/events',
      JSON.stringify({ event: { ...event, external_subscription_id: 'sub_known' } }),
    )
    expect(inOrder(log)).toMatchObject([{ subject: 'acme-prod' }])
  })

  it('takes a batch whole or not at all, and says in its words what is wrong', async () => {
    const { url, post, log } = await aCompat()
    const lago = createLagoClient('good', { baseUrl: `${url}/api/v1` })
    const answer = await lago.events
      .createBatchEvents({ events: [event, { ...event, transaction_id: '' }] })
      .catch((error: unknown) => error as Response)
    expect(answer.status).toBe(422)
    expect((answer as unknown as { readonly error: unknown }).error).toMatchObject({
      code: 'batchRejected',
      error_details: { 1: { event: ['missingId'] } },
    })
    expect(
      (await post('/api/v1/events', JSON.stringify({ event: { ...event, timestamp: 'noon' } }))).status,
    ).toBe(400)
    expect(
      (await post('/api/v1/events/batch', JSON.stringify({ events: Array(101).fill(event) }))).status,
    ).toBe(400)
    expect((await post('/api/v1/events/batch', '{"events":{}}')).status).toBe(400)
    expect((await post('/api/v1/events', '{"event":{},"event":{}}')).status).toBe(400)
    expect(log.events()).toEqual([])
  })
})

describe('Stripe', () => {
  const client = (url: string, key = 'good'): Stripe => {
    const { port } = new URL(url)
    return new Stripe(key, { host: '127.0.0.1', port: Number(port), protocol: 'http', maxNetworkRetries: 0 })
  }
  const payload = { value: '25', stripe_customer_id: 'cus_1' }

  it('its client sends meter events and takes them back', async () => {
    const { url, log } = await aCompat()
    const stripe = client(url)
    const timestamp = NOW / 1000 - 60
    const made = await stripe.billing.meterEvents.create({
      event_name: 'tokens',
      payload,
      identifier: 'i-1',
      timestamp,
    })
    expect(made).toMatchObject({ object: 'billing.meter_event', identifier: 'i-1', payload, timestamp })
    expect(
      await stripe.billing.meterEventAdjustments.create({
        event_name: 'tokens',
        type: 'cancel',
        cancel: { identifier: 'i-1' },
      }),
    ).toMatchObject({
      object: 'billing.meter_event_adjustment',
      status: 'complete',
      cancel: { identifier: 'i-1' },
    })
    expect(inOrder(log)).toMatchObject([
      { id: 'i-1', source: 'stripe', type: 'tokens', subject: 'cus_1', properties: { value: '25' } },
      { type: '__void', properties: { 'target.source': 'stripe', 'target.id': 'i-1' } },
    ])
  })

  it('an event without an identifier counts once however often its client tries', async () => {
    const { url, log } = await aCompat()
    const stripe = client(url)
    const options = { idempotencyKey: 'retry-1' }
    await stripe.billing.meterEvents.create({ event_name: 'tokens', payload }, options)
    await stripe.billing.meterEvents.create({ event_name: 'tokens', payload }, options)
    await stripe.billing.meterEvents.create({ event_name: 'tokens', payload }, { idempotencyKey: 'other' })
    expect(
      log
        .events()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(['other', 'retry-1'])
  })

  it('its client streams with a session, until the session or its key ends', async () => {
    const { url, log, setNow } = await aCompat()
    const session = await client(url).v2.billing.meterEventSession.create()
    expect(session.authentication_token).toMatch(/^tm_mes_/)
    const stream = client(url, session.authentication_token)
    const event = { event_name: 'tokens', payload, timestamp: '2026-03-01T11:59:00Z' }
    await stream.v2.billing.meterEventStream.create({ events: [{ ...event, identifier: 's-1' }, event] })
    expect(
      log
        .events()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(['generated-2', 's-1'])
    setNow(instantOf(NOW + 15 * 60_000))
    await expect(stream.v2.billing.meterEventStream.create({ events: [event] })).rejects.toMatchObject({
      statusCode: 401,
    })
    await expect(client(url).v2.billing.meterEventStream.create({ events: [event] })).rejects.toMatchObject({
      statusCode: 401,
    })
    await expect(
      client(url, `${session.authentication_token.slice(0, -4)}AAAA`).v2.billing.meterEventStream.create({
        events: [event],
      }),
    ).rejects.toMatchObject({ statusCode: 401 })
  })

  it('takes the key as the user of basic authentication', async () => {
    const { post, log } = await aCompat()
    const form = new URLSearchParams({
      event_name: 'tokens',
      'payload[stripe_customer_id]': 'cus_1',
      identifier: 'i',
    })
    const basic = (key: string): Record<string, string> => ({
      authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    })
    expect((await post('/v1/billing/meter_events', form.toString(), basic('good'))).status).toBe(200)
    expect((await post('/v1/billing/meter_events', form.toString(), basic('bad'))).status).toBe(401)
    expect(log.events()).toHaveLength(1)
  })

  it('its client throws what Stripe would', async () => {
    const { url } = await aCompat()
    const made = client(url).billing.meterEvents.create({ event_name: 'tokens', payload: { value: '1' } })
    await expect(made).rejects.toThrow(Stripe.errors.StripeInvalidRequestError)
    await expect(made).rejects.toThrow(/"subject" is missing/)
    await expect(
      client(url, 'bad').billing.meterEvents.create({ event_name: 'tokens', payload }),
    ).rejects.toThrow(Stripe.errors.StripeAuthenticationError)
  })
})
