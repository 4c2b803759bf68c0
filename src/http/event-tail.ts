import { createRoute, z } from '@hono/zod-openapi'
import type { EventTail, TailClient, TailMessage } from '../ingest/event-tail.ts'
import { isEventType } from '../ingest/rejection.ts'
import { type Api, type Authenticator, createRouter } from './api.ts'
import { ProblemError } from './problem.ts'
import { scoped } from './scoped.ts'
import { strictObject } from './strict-object.ts'

export interface EventTailRoutesDeps {
  readonly authenticator: Authenticator
  readonly tail: Pick<EventTail, 'open'>
  /** A comment is sent after so long without an event: proxies close what is silent. */
  readonly keepAliveMs?: number
}

const KEEP_ALIVE_MS = 15_000

/** `GET /v1/events/tail`: accepted events as server-sent events, from now on. */
export function createEventTailRoutes({ authenticator, tail, keepAliveMs }: EventTailRoutesDeps): Api {
  const api = createRouter()
  api.openapi(
    createRoute({
      method: 'get',
      path: '/v1/events/tail',
      summary: 'Follow events as they are accepted, as server-sent events',
      description:
        'An `event` is a message with JSON data. `skipped` says how many records of the log were left out; `dropped` (this client read too slowly) and `stopped` (the server ends) are the last message. Nothing is repeated: what must not be missed is read from the log.',
      tags: ['events'],
      middleware: scoped(authenticator, 'read'),
      request: {
        query: strictObject({
          type: z.string().refine(isEventType, 'must be an event type').optional(),
          subject: z.string().min(1).max(255).optional(),
        }),
      },
      responses: {
        200: { description: 'The stream', content: { 'text/event-stream': { schema: z.string() } } },
        429: { description: 'As many follow already as may' },
      },
    }),
    async (c) => {
      const { type, subject } = c.req.valid('query')
      const client = await tail.open({ tenant: c.get('principal').tenant, type, subject })
      if (client === null) {
        throw new ProblemError({
          status: 429,
          code: 'tooManyTails',
          title: 'Too many follow already',
          detail: 'As many clients follow the events of this process as may. Try again when one has left.',
          retryAfterSeconds: 10,
        })
      }
      return new Response(streamOf(client, keepAliveMs ?? KEEP_ALIVE_MS), {
        headers: {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
        },
      })
    },
  )
  return api
}

function streamOf(client: TailClient, keepAliveMs: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let coming: Promise<TailMessage> | null = null
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode(': following\n\n'))
    },
    async pull(controller) {
      coming ??= client.next()
      const message = await within(coming, keepAliveMs)
      if (message === null) {
        controller.enqueue(encoder.encode(': nothing new\n\n'))
        return
      }
      coming = null
      controller.enqueue(encoder.encode(textOf(message)))
      if (message.kind === 'dropped' || message.kind === 'stopped') controller.close()
    },
    cancel() {
      client.close()
    },
  })
}

/** Null when the time is up first. */
async function within<T>(coming: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const up = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms)
    timer.unref()
  })
  try {
    return await Promise.race([coming, up])
  } finally {
    clearTimeout(timer)
  }
}

function textOf(message: TailMessage): string {
  switch (message.kind) {
    case 'event':
      return `event: event\ndata: ${message.json}\n\n`
    case 'skipped':
      return `event: skipped\ndata: {"records":${message.records}}\n\n`
    case 'dropped':
      return 'event: dropped\ndata: {"detail":"This client read more slowly than events came."}\n\n'
    case 'stopped':
      return 'event: stopped\ndata: {"detail":"The server is ending; connect again."}\n\n'
  }
}
