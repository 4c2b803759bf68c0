import { createRoute, z } from '@hono/zod-openapi'
import { parseEventSchema } from '../ingest/event-schemas.ts'
import { EVENT_LIMITS, isEventType } from '../ingest/rejection.ts'
import type { Clock } from '../time/clock.ts'
import { formatInstant } from '../time/instant.ts'
import type { EventSchemaRegistry, RegisteredEventSchema } from '../usage/event-schema.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { requiredJson } from './json-body.ts'
import { pageQuery, pageRequest, pageShape, pageView } from './listing.ts'
import { answer, describedBody, instantShape, invalidRequest, notFound, refusal } from './route-parts.ts'
import { scoped } from './scoped.ts'
import { strictObject } from './strict-object.ts'

export interface EventSchemaRoutesDeps {
  readonly authenticator: Authenticator
  readonly schemas: EventSchemaRegistry
  /** Resolves when what was committed before is on the log and applied in this process. */
  readonly settle: () => Promise<void>
  readonly clock: Clock
}

const tags = ['event schemas']
const CURSOR_CHARS_MAX = 1100

/** Not a resource key: event types are URIs, reverse domain names and whatever else services emit. */
const typeParam = z.object({
  type: z
    .string()
    .refine(isEventType, `must be an event type: 1 to ${EVENT_LIMITS.typeCharsMax} characters`)
    .openapi({ description: 'Percent-encoded.', example: 'llm.request' }),
})

const schemaShape = z.record(z.string(), z.unknown()).openapi({
  description: 'JSON Schema 2020-12 of `data`. `format` is not checked; `$ref` leads to `#/$defs/` only.',
  example: { type: 'object', required: ['tokens'], properties: { tokens: { type: 'integer', minimum: 0 } } },
})

const registeredShape = z
  .object({
    type: z.string(),
    schema: schemaShape,
    revision: z.number().int(),
    createdAt: instantShape,
    updatedAt: instantShape,
  })
  .openapi('EventSchema')

/** `/v1/event-schemas`: what `data` of an event type must look like. Events that do not match are rejected. */
export function createEventSchemaRoutes(deps: EventSchemaRoutesDeps): Api {
  const { authenticator, schemas, settle, clock } = deps
  const admin = scoped(authenticator, 'admin')
  const reader = scoped(authenticator, 'read')
  const api = createRouter()

  api.openapi(
    createRoute({
      method: 'put',
      path: '/v1/event-schemas/{type}',
      summary: 'Say what data of an event type must look like',
      description:
        'In force for events from the next moment on; what was accepted before stays. A schema that could make the check of an event slow is refused.',
      tags,
      middleware: admin,
      request: {
        params: typeParam,
        ...describedBody(api, 'EventSchemaRequest', z.strictObject({ schema: schemaShape })),
      },
      responses: {
        200: answer(registeredShape, 'The schema'),
        400: { description: 'Refused, with pointers' },
        409: { description: 'The tenant has as many schemas as it may have' },
      },
    }),
    async (c) => {
      const { type } = c.req.valid('param')
      const schema = readSchema(requiredJson(c))
      const outcome = await schemas.put(c.get('principal').tenant, type, schema, clock.now())
      if (outcome.kind === 'tooMany') {
        const detail = `cannot be added: there are ${outcome.most} schemas, as many as a tenant may have`
        throw refusal(409, 'tooManyEventSchemas', 'Too many schemas', [{ pointer: '/schema', detail }])
      }
      await settle()
      return c.json(view(outcome.registered), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/event-schemas/{type}',
      summary: 'The schema of an event type',
      tags,
      middleware: reader,
      request: { params: typeParam },
      responses: { 200: answer(registeredShape, 'The schema'), 404: { description: 'The type has none' } },
    }),
    async (c) => {
      const { type } = c.req.valid('param')
      const found = await schemas.get(c.get('principal').tenant, type)
      if (found === null) throw unknownSchema(type)
      return c.json(view(found), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/event-schemas',
      summary: 'List schemas by event type',
      tags,
      middleware: reader,
      request: { query: strictObject({ ...pageQuery, cursor: z.string().max(CURSOR_CHARS_MAX).optional() }) },
      responses: { 200: answer(pageShape(registeredShape), 'A page') },
    }),
    async (c) => {
      const page = await schemas.list(
        c.get('principal').tenant,
        pageRequest(c.req.valid('query'), isEventType),
      )
      return c.json(pageView(page, view), 200)
    },
  )

  api.openapi(
    createRoute({
      method: 'delete',
      path: '/v1/event-schemas/{type}',
      summary: 'Take any data for an event type again',
      tags,
      middleware: admin,
      request: { params: typeParam },
      responses: { 204: { description: 'Done' }, 404: { description: 'The type has none' } },
    }),
    async (c) => {
      const { type } = c.req.valid('param')
      if (!(await schemas.remove(c.get('principal').tenant, type))) throw unknownSchema(type)
      await settle()
      return c.body(null, 204)
    },
  )
  return api
}

function readSchema(body: unknown) {
  const members = typeof body === 'object' && body !== null ? Object.keys(body) : []
  const strange = members.filter((name) => name !== 'schema')
  if (members.length === 0 || strange.length > 0) {
    const told = members.length === 0 ? [''] : strange.map((name) => `/${name}`)
    const detail = 'must be {"schema": {…}} with nothing beside it'
    throw invalidRequest(told.map((pointer) => ({ pointer, detail })))
  }
  const parsed = parseEventSchema((body as { readonly schema: unknown }).schema)
  if (parsed.kind === 'schema') return parsed.schema
  throw invalidRequest(parsed.faults.map((fault) => ({ ...fault, pointer: `/schema${fault.pointer}` })))
}

function unknownSchema(type: string) {
  const detail = `The event type "${type}" has no schema: any data is taken. PUT /v1/event-schemas/${encodeURIComponent(type)} gives it one.`
  return notFound('unknownEventSchema', 'schema', detail)
}

function view({
  type,
  schema,
  revision,
  createdAt,
  updatedAt,
}: RegisteredEventSchema): z.infer<typeof registeredShape> {
  const times = { createdAt: formatInstant(createdAt), updatedAt: formatInstant(updatedAt) }
  return { type, schema: { ...schema }, revision, ...times }
}
