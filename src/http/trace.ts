import { createRoute, z } from '@hono/zod-openapi'
import type { MeterTrace, TracedEvent, Tracer } from '../aggregate/trace.ts'
import { formatInstant, instantOf } from '../time/instant.ts'
import type { Coordinate } from '../usage/coordinate.ts'
import type { TracedCopy } from '../usage/usage-query.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { scoped } from './scoped.ts'

export interface TraceRoutesDeps {
  readonly authenticator: Authenticator
  readonly trace: Tracer
}

const coordinateShape = z.object({
  epoch: z.number().int(),
  partition: z.number().int(),
  offset: z.number().int(),
  index: z.number().int(),
})

const traceShape = z
  .object({
    source: z.string(),
    id: z.string(),
    status: z.enum(['counted', 'notMetered', 'voided', 'pending', 'notReceived']),
    reason: z.string().openapi({ description: 'The status in words' }),
    partition: z.number().int().openapi({ description: 'Where every copy of it is on the log' }),
    copies: z.array(
      z.object({
        coordinate: coordinateShape,
        standing: z.enum(['canonical', 'duplicate', 'conflict']),
        first: coordinateShape
          .nullable()
          .openapi({ description: 'The copy that counts, where it is another' }),
        type: z.string(),
        subject: z.string(),
        time: z.string(),
        ingestedAt: z.string(),
        properties: z.record(z.string(), z.string()),
      }),
    ),
    voidedBy: z.object({ source: z.string(), id: z.string(), coordinate: coordinateShape }).nullable(),
    meters: z.array(
      z.object({
        meter: z.string(),
        revision: z.number().int(),
        counted: z.boolean(),
        reason: z.string(),
        value: z.string().nullable(),
        minute: z.string().nullable(),
        isRolled: z.boolean(),
      }),
    ),
    asOf: z.object({ journal: z.record(z.string(), z.number().int()) }),
  })
  .openapi('EventTrace')

/** `GET /v1/events/trace`: 200 also for an event that was never received, with that as the answer. */
export function createTraceRoutes({ authenticator, trace }: TraceRoutesDeps): Api {
  const api = createRouter()
  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/events/trace',
      summary: 'Where an event is: its copies, which one counts and why, and the meters that count it',
      description:
        'Copies that are equal in all but their place on the log are one row once the store has merged them; the first of them stays.',
      tags: ['events'],
      middleware: scoped(authenticator, 'read'),
      request: { query: z.object({ source: z.string().min(1), id: z.string().min(1) }) },
      responses: {
        200: { description: 'The trace', content: { 'application/json': { schema: traceShape } } },
        400: { description: 'source or id is missing' },
      },
    }),
    async (c) => {
      const { source, id } = c.req.valid('query')
      return c.json(traceJson(await trace(c.get('principal').tenant, source, id)), 200)
    },
  )
  return api
}

type TraceJson = z.infer<typeof traceShape>

export function traceJson(traced: TracedEvent): TraceJson {
  const { source, id, partition, copies, voidedBy, meters, asOf } = traced
  return {
    ...{ source, id, ...statusOf(traced), partition },
    copies: copies.map(copyJson),
    voidedBy,
    meters: meters.map((meter) => meterJson(meter, voidedBy !== null)),
    asOf: { journal: Object.fromEntries(asOf.map((end) => [String(end.partition), end.offset])) },
  }
}

function statusOf(traced: TracedEvent): Pick<TraceJson, 'status' | 'reason'> {
  const { copies, voidedBy, meters, partition, pendingCopies } = traced
  if (copies.length === 0) {
    return pendingCopies > 0
      ? { status: 'pending', reason: 'It is durable and will count within seconds.' }
      : {
          status: 'notReceived',
          reason: `No event of this source and id is countable. Was it answered 202, with this key's tenant? If so it is on partition ${partition} of the log, behind the journal's end there.`,
        }
  }
  if (voidedBy !== null) {
    return { status: 'voided', reason: `The event ${voidedBy.id} of ${voidedBy.source} took it back.` }
  }
  const type = copies.find(({ standing }) => standing.kind === 'canonical')?.type ?? ''
  if (meters.some(({ outcome }) => outcome.kind === 'counted')) {
    return { status: 'counted', reason: copies.length === 1 ? 'It counts.' : 'Its first copy counts, once.' }
  }
  return {
    status: 'notMetered',
    reason:
      meters.length === 0
        ? `No meter counts events of the type ${type}.`
        : 'Every meter of its type leaves it out; see the reason of each.',
  }
}

function copyJson({ coordinate, standing, type, subject, time, ingestedAt, properties }: TracedCopy) {
  return {
    ...{ coordinate, standing: standing.kind, first: firstOf(standing), type, subject },
    ...{ time: formatInstant(time), ingestedAt: formatInstant(ingestedAt), properties },
  }
}

function firstOf(standing: TracedCopy['standing']): Coordinate | null {
  switch (standing.kind) {
    case 'canonical':
      return null
    case 'duplicate':
      return standing.of
    case 'conflict':
      return standing.with
  }
}

function meterJson({ meter, outcome }: MeterTrace, isVoided: boolean): TraceJson['meters'][number] {
  const named = { meter: meter.key as string, revision: meter.revision }
  const left = { ...named, counted: false, value: null, minute: null, isRolled: false }
  switch (outcome.kind) {
    case 'filtered':
      return { ...left, reason: `The filter on "${outcome.path}" does not have "${outcome.value}".` }
    case 'unusable':
      return { ...left, reason: `"${outcome.path}" has no value that can be read: "${outcome.value}".` }
    case 'counted': {
      const { value, isRolled } = outcome
      const minute = formatInstant(instantOf(outcome.minute * 1000))
      if (isVoided) return { ...left, minute, reason: 'It was taken back.' }
      const reason = isRolled ? 'Counted, in the rollup of its minute.' : 'Counted, read from the events.'
      return { ...named, counted: true, reason, value, minute, isRolled }
    }
  }
}
