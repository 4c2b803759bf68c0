import { describe, expect, it } from 'vitest'
import type { Ingest } from '../../src/ingest/ingest.ts'
import type { ApiKeyId } from '../../src/id/ids.ts'
import { type Authenticator, createApi } from '../../src/http/api.ts'
import { createEventRoutes } from '../../src/http/events.ts'
import { aCloudEvent, aStage, TENANT } from '../support/ingest.ts'

const authenticator: Authenticator = {
  authenticate: (key) =>
    key === 'good' || key === 'reader'
      ? {
          kind: 'authenticated',
          principal: {
            tenant: TENANT,
            keyId: 'key_1' as ApiKeyId,
            scopes: [key === 'good' ? 'ingest' : 'read'],
          },
        }
      : { kind: 'refused', status: 401, code: 'unknownKey', detail: 'There is no such key.' },
}

function anApi(ingest: Pick<Ingest, 'accept' | 'correct' | 'shed'>, bodyBytesMax = 100_000) {
  const faults: unknown[] = []
  const api = createApi({ newRequestId: () => 'req_1', onFault: (error) => void faults.push(error) })
  api.route('/', createEventRoutes({ authenticator, ingest, bodyBytesMax }))
  const post = (body: unknown, headers: Record<string, string> = {}, query = '', path = '/v1/events') =>
    api.request(`${path}${query}`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer good',
        'content-type': 'application/cloudevents-batch+json',
        ...headers,
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  return { post, faults }
}

describe('POST /v1/events', () => {
  it('answers 202 with counts and rejections', async () => {
    const { ingest } = aStage()
    const { post } = anApi(ingest)
    const response = await post([aCloudEvent(), aCloudEvent(), aCloudEvent({ id: 'b', subject: '' })])
    expect(response.status).toBe(202)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toMatchObject({
      accepted: 1,
      duplicates: 1,
      rejected: [{ index: 2, id: 'b', code: 'missingSubject' }],
    })
  })

  it('reads structured and binary mode', async () => {
    const { ingest, log } = aStage()
    const { post } = anApi(ingest)
    const single = await post(aCloudEvent(), {
      'content-type': 'application/cloudevents+json; charset=UTF-8',
    })
    expect(await single.json()).toEqual({ accepted: 1, duplicates: 0, rejected: [] })
    const binary = await post(
      { tokens: '5' },
      {
        'content-type': 'application/json',
        'ce-specversion': '1.0',
        'ce-id': 'b%20in',
        'ce-source': '/gateway',
        'ce-type': 'llm.request',
        'CE-Subject': 'Zo%C3%AB',
        'ce-time': '2026-03-01T11:00:00Z',
      },
    )
    expect(await binary.json()).toEqual({ accepted: 1, duplicates: 0, rejected: [] })
    expect(log.events().find(({ id }) => id === 'b in')).toMatchObject({
      subject: 'Zoë',
      properties: { tokens: '5' },
    })
  })

  it('gives receipts when asked', async () => {
    const { ingest } = aStage()
    const { post } = anApi(ingest)
    const response = await post([aCloudEvent()], {}, '?receipts=true&atomic=false')
    expect(await response.json()).toEqual({
      accepted: 1,
      duplicates: 0,
      rejected: [],
      receipts: [{ id: 'evt-1', partition: expect.any(Number) as number, offset: 0, index: 0 }],
    })
  })

  it('atomic: a batch with a bad event is a problem that names it', async () => {
    const { ingest } = aStage()
    const { post } = anApi(ingest)
    const response = await post([aCloudEvent(), {}], {}, '?atomic=true')
    expect(response.status).toBe(422)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({
      code: 'batchRejected',
      rejected: [{ index: 1, code: 'unsupportedSpecVersion' }],
    })
  })

  it.each([
    ['application/xml', '<a/>', 415, 'unsupportedMediaType'],
    ['application/cloudevents-batch+avro', '[]', 415, 'unsupportedMediaType'],
    ['application/cloudevents+xml', '<a/>', 415, 'unsupportedMediaType'],
    ['application/cloudevents-batch+json', '[{', 400, 'malformedJson'],
    ['application/cloudevents-batch+json', '{}', 400, 'malformedBatch'],
    ['application/cloudevents-batch+json', `["${'x'.repeat(100_000)}"]`, 413, 'bodyTooLarge'],
    ['application/cloudevents-batch+json', `[${'0,'.repeat(1000)}0]`, 413, 'tooManyEvents'],
  ])('%s %.20s → %i %s', async (contentType, body, status, code) => {
    const { ingest } = aStage()
    const { post } = anApi(ingest)
    const response = await post(body, { 'content-type': contentType })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ code, status })
  })

  it('answers 503 with Retry-After when the log does not confirm', async () => {
    const { ingest, log } = aStage()
    const { post } = anApi(ingest)
    log.failNext(() => 'failed')
    const response = await post([aCloudEvent()])
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('2')
    expect(await response.json()).toMatchObject({ code: 'logUnavailable' })
  })

  it('wants a key with the scope ingest', async () => {
    const { ingest } = aStage()
    const { post } = anApi(ingest)
    expect((await post([], { authorization: '' })).status).toBe(401)
    expect((await post([], { authorization: 'Bearer bad' })).status).toBe(401)
    expect((await post([], { authorization: 'Bearer reader' })).status).toBe(403)
  })

  it('refuses switches that are neither true nor false', async () => {
    const { ingest } = aStage()
    const { post } = anApi(ingest)
    expect((await post([], {}, '?atomic=yes')).status).toBe(400)
  })
})

describe('POST /v1/events/void and /v1/events/amend', () => {
  const correction = { source: '/gateway', id: 'evt-1', reason: 'sent twice' }

  it('answer 202 with counts', async () => {
    const { ingest, log } = aStage()
    const { post } = anApi(ingest)
    const voided = await post({ events: [correction, { ...correction, id: '' }] }, {}, '', '/v1/events/void')
    expect(voided.status).toBe(202)
    expect(await voided.json()).toMatchObject({
      accepted: 1,
      duplicates: 0,
      rejected: [{ index: 1, id: null, code: 'invalidTarget' }],
    })
    const event = aCloudEvent({ id: 'evt-2' })
    const amended = await post({ events: [{ ...correction, event }] }, {}, '', '/v1/events/amend')
    expect(await amended.json()).toEqual({ accepted: 1, duplicates: 0, rejected: [] })
    expect(
      log
        .events()
        .map(({ type }) => type)
        .sort(),
    ).toEqual(['__void', 'llm.request'])
  })

  it('refuse what names no events, and keys without the scope', async () => {
    const { ingest } = aStage()
    const { post } = anApi(ingest)
    const response = await post({}, {}, '', '/v1/events/void')
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'malformedCorrections' })
    const reader = { authorization: 'Bearer reader' }
    expect((await post({ events: [] }, reader, '', '/v1/events/amend')).status).toBe(403)
  })
})
