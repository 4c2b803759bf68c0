import { createRoute, z } from '@hono/zod-openapi'
import { isEventType } from '../ingest/rejection.ts'
import type { Clock } from '../time/clock.ts'
import { formatInstant } from '../time/instant.ts'
import type { OtlpMappingRegistry, RegisteredOtlpMapping } from '../usage/otlp-mapping.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { pageQuery, pageRequest, pageShape, pageView } from './listing.ts'
import { answer, instantShape, keyParam, notFound, refusal } from './route-parts.ts'
import { scoped } from './scoped.ts'
import { strictObject } from './strict-object.ts'

export interface OtlpMappingRoutesDeps {
  readonly authenticator: Authenticator
  readonly mappings: OtlpMappingRegistry
  /** Resolves when what was committed before is on the log and applied in this process. */
  readonly settle: () => Promise<void>
  readonly clock: Clock
}

const tags = ['otlp']
const PROPERTIES_MAX = 32
const attribute = z.string().min(1).max(255)
/** A property of `data`; no path, so that none can be ambiguous with another. */
const property = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be letters, digits or "_", a letter or "_" first')
  .refine((name) => !['__proto__', 'constructor', 'prototype'].includes(name), 'must be another name')

const mappingShape = strictObject({
  metric: z.string().min(1).max(255).openapi({ example: 'gen_ai.client.token.usage' }),
  eventType: z.string().refine(isEventType, 'must be an event type').openapi({ example: 'llm.tokens' }),
  valueProperty: property.openapi({ example: 'tokens' }),
  subjectAttribute: attribute.openapi({
    description: 'Of the data point, else of its scope, else of its resource.',
    example: 'customer.id',
  }),
  properties: z
    .record(property, attribute)
    .refine((all) => Object.keys(all).length <= PROPERTIES_MAX, `must not have more than ${PROPERTIES_MAX}`)
    .default({})
    .openapi({ description: 'Property → attribute.', example: { model: 'gen_ai.request.model' } }),
}).refine(({ valueProperty, properties }) => !Object.hasOwn(properties, valueProperty), {
  path: ['valueProperty'],
  message: 'must not be one of "properties", too',
})

const registeredShape = z
  .object({
    key: z.string(),
    metric: z.string(),
    eventType: z.string(),
    valueProperty: z.string(),
    subjectAttribute: z.string(),
    properties: z.record(z.string(), z.string()),
    createdAt: instantShape,
    updatedAt: instantShape,
  })
  .openapi('OtlpMapping')

/** `/v1/otlp-mappings`: which sums of OpenTelemetry are usage, and of whom. */
export function createOtlpMappingRoutes(deps: OtlpMappingRoutesDeps): Api {
  const { authenticator, mappings, settle, clock } = deps
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')
  const api = createRouter()

  api.openapi(
    createRoute({
      method: 'put',
      path: '/v1/otlp-mappings/{key}',
      summary: 'Say how the sums of an OpenTelemetry metric become events',
      tags,
      middleware: admin,
      request: {
        params: keyParam,
        body: { required: true, content: { 'application/json': { schema: mappingShape } } },
      },
      responses: {
        200: answer(registeredShape, 'The mapping'),
        400: { description: 'Refused, with pointers' },
        409: { description: 'The tenant has as many mappings as it may have' },
      },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const outcome = await mappings.put(c.get('principal').tenant, key, c.req.valid('json'), clock.now())
      if (outcome.kind === 'tooMany') {
        const detail = `cannot be added: there are ${outcome.most}, as many as a tenant may have`
        throw refusal(409, 'tooManyOtlpMappings', 'Too many mappings', [{ pointer: '', detail }])
      }
      await settle()
      return c.json(view(outcome.registered), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/otlp-mappings/{key}',
      summary: 'One mapping of a metric',
      tags,
      middleware: reader,
      request: { params: keyParam },
      responses: { 200: answer(registeredShape, 'The mapping'), 404: { description: 'No such mapping' } },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      const found = await mappings.get(c.get('principal').tenant, key)
      if (found === null) throw unknownMapping(key)
      return c.json(view(found), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/otlp-mappings',
      summary: 'List mappings of metrics by key',
      tags,
      middleware: reader,
      request: { query: strictObject(pageQuery) },
      responses: { 200: answer(pageShape(registeredShape), 'A page') },
    }),
    async (c) => {
      const page = await mappings.list(c.get('principal').tenant, pageRequest(c.req.valid('query')))
      return c.json(pageView(page, view), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'delete',
      path: '/v1/otlp-mappings/{key}',
      summary: 'Make no events of a metric any more',
      tags,
      middleware: admin,
      request: { params: keyParam },
      responses: { 204: { description: 'Done' }, 404: { description: 'No such mapping' } },
    }),
    async (c) => {
      const { key } = c.req.valid('param')
      if (!(await mappings.remove(c.get('principal').tenant, key))) throw unknownMapping(key)
      await settle()
      return c.body(null, 204)
    },
  )
  return api
}

function unknownMapping(key: string) {
  const detail = `There is no mapping "${key}". PUT /v1/otlp-mappings/${key} creates it.`
  return notFound('unknownOtlpMapping', 'mapping', detail)
}

function view({
  key,
  mapping,
  createdAt,
  updatedAt,
}: RegisteredOtlpMapping): z.infer<typeof registeredShape> {
  const times = { createdAt: formatInstant(createdAt), updatedAt: formatInstant(updatedAt) }
  return { key, ...mapping, properties: { ...mapping.properties }, ...times }
}
