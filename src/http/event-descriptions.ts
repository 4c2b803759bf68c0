import { type RouteConfig, z } from '@hono/zod-openapi'

const cloudEvent = z
  .looseObject({
    specversion: z.literal('1.0'),
    id: z.string().openapi({ description: 'With the source, what the event is counted once by.' }),
    source: z.string().openapi({ description: 'A URI reference.', example: '/gateway' }),
    type: z.string().openapi({ example: 'llm.request' }),
    subject: z.string().openapi({ description: 'Who used.', example: 'acme' }),
    time: z
      .string()
      .nullish()
      .openapi({ format: 'date-time', description: 'When it happened; its arrival where absent.' }),
    data: z
      .record(z.string(), z.unknown())
      .nullish()
      .openapi({
        description: 'What meters read. Quantities that a double cannot hold are decimals in quotes.',
        example: { model: 'm-1', inputTokens: 1200, outputTokens: '345' },
      }),
  })
  .openapi('CloudEvent', { description: 'CloudEvents 1.0.' })

const counts = z
  .object({
    accepted: z.number().int(),
    duplicates: z.number().int(),
    rejected: z.array(
      z.object({
        index: z.number().int(),
        id: z.string().nullable(),
        code: z.string(),
        detail: z.string(),
        errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
      }),
    ),
    receipts: z
      .array(
        z.object({
          id: z.string(),
          partition: z.number().int(),
          offset: z.number().int(),
          index: z.number().int(),
        }),
      )
      .optional()
      .openapi({ description: 'With `receipts=true`: where each event stands on the log.' }),
  })
  .openapi('EventCounts')

const identity = {
  source: z.string(),
  id: z.string(),
  reason: z.string().openapi({ description: 'Kept, and shown wherever the event is explained.' }),
}
const switchParam = z.enum(['true', 'false']).optional()
const common: Pick<RouteConfig, 'method' | 'tags' | 'security'> = {
  method: 'post',
  tags: ['events'],
  security: [{ bearer: ['ingest'] }],
}
const responses = {
  202: {
    description: 'Every accepted event is durably on the log',
    content: { 'application/json': { schema: counts } },
  },
  400: { description: 'The body cannot be read' },
  413: { description: 'The body is too large, or has too many events' },
  415: { description: 'A media type or content encoding that is not read' },
  503: { description: 'The log cannot take it now; send the same events again' },
}

/** The routes of `events.ts`, which no schema library checks, for /openapi.json. */
export const EVENT_ROUTES: readonly RouteConfig[] = [
  {
    ...common,
    path: '/v1/events',
    summary: 'Send usage events: one, a batch, or one in binary mode',
    description:
      'Events of one `source` and `id` count once, however often they are sent. A binary-mode event has its attributes in `ce-` headers and `data` as its body.',
    request: {
      query: z.object({
        atomic: switchParam.openapi({ description: 'All events or none.' }),
        receipts: switchParam,
      }),
      body: {
        required: true,
        content: {
          'application/cloudevents+json': { schema: cloudEvent },
          'application/cloudevents-batch+json': { schema: z.array(cloudEvent) },
          'application/json': { schema: z.union([cloudEvent, z.array(cloudEvent)]) },
        },
      },
    },
    responses: { ...responses, 422: { description: 'With `atomic=true`: an event is not acceptable' } },
  },
  {
    ...common,
    path: '/v1/events/void',
    summary: 'Take events back: they count nowhere any more',
    request: {
      body: {
        required: true,
        content: {
          'application/json': { schema: z.strictObject({ events: z.array(z.strictObject(identity)) }) },
        },
      },
    },
    responses,
  },
  {
    ...common,
    path: '/v1/events/amend',
    summary: 'Put other events in the place of some',
    request: {
      body: {
        required: true,
        content: {
          'application/json': {
            schema: z.strictObject({
              events: z.array(z.strictObject({ ...identity, event: cloudEvent })),
            }),
          },
        },
      },
    },
    responses,
  },
]
