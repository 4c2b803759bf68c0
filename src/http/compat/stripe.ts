import type { Context } from 'hono'
import { type ExactJson, isExactObject, readExactJson } from '../../ingest/exact-json.ts'
import { formatInstant, instantOf } from '../../time/instant.ts'
import { type Api, type ApiEnv, authenticateRequest, type Principal } from '../api.ts'
import type { BodyBounds } from '../bounded-body.ts'
import { problemOf } from '../events.ts'
import { ProblemError } from '../problem.ts'
import {
  type CompatDeps,
  type CompatEvent,
  ingestAll,
  readCompatBody,
  requireTaken,
  timeOfSeconds,
  unreadable,
} from './call.ts'
import type { StripeSessions } from './stripe-session.ts'

/** Stripe's own bound of a request to the stream. */
const STREAM_EVENTS_MAX = 100
const SESSION_MS = 15 * 60_000
const SOURCE = 'stripe'
/** The payload key that names the customer where a Stripe meter does not say another. */
const CUSTOMER_KEY = 'stripe_customer_id'
const VOID_REASON = 'cancelled by a meter event adjustment'

/** Stripe's meter events, version 1 as forms and version 2 as sessions and streams. */
export function addStripeRoutes(
  api: Api,
  deps: CompatDeps,
  sessions: StripeSessions,
  bounds: BodyBounds,
): void {
  const { authenticator, clock, ingest } = deps

  /** Stripe's clients send the key as a bearer, curl and some clients as the user of basic authentication. */
  const keyHeader = (c: Context<ApiEnv>): string | undefined => {
    const header = c.req.header('authorization')
    const basic = /^Basic +([\w+/=-]+) *$/i.exec(header ?? '')?.[1]
    if (basic === undefined) return header
    const [user = ''] = Buffer.from(basic, 'base64').toString('utf8').split(':', 1)
    return `Bearer ${user}`
  }
  const principalOf = (c: Context<ApiEnv>): Principal =>
    authenticateRequest(authenticator, keyHeader(c), 'ingest')

  const inStripeWords =
    (handle: (c: Context<ApiEnv>) => Promise<Response>) =>
    async (c: Context<ApiEnv>): Promise<Response> => {
      try {
        return await handle(c)
      } catch (error) {
        throw error instanceof ProblemError ? stripeProblem(error) : error
      }
    }

  api.post(
    '/v1/billing/meter_events',
    inStripeWords(async (c) => {
      const { tenant } = principalOf(c)
      const form = readForm(await readCompatBody(c, deps, bounds))
      const timestamp = form.get('timestamp') ?? null
      const time = timestamp === null ? undefined : timeOfSeconds(timestamp)
      if (time === null) throw unreadable('"timestamp" must be seconds since 1970.')
      const payload = new Map(
        [...form].flatMap(([name, value]) => {
          const key = /^payload\[(.+)\]$/.exec(name)?.[1]
          return key === undefined ? [] : [[key, value] as const]
        }),
      )
      // Without an identifier a retry of the client is known by its Idempotency-Key.
      const id = form.get('identifier') ?? c.req.header('idempotency-key') ?? deps.newEventId()
      await ingestAll(deps, tenant, [eventOf(id, form.get('event_name'), payload, time)])
      const now = Math.floor(clock.now() / 1000)
      return c.json({
        object: 'billing.meter_event',
        created: now,
        event_name: form.get('event_name'),
        identifier: id,
        livemode: true,
        payload: Object.fromEntries(payload),
        timestamp: time === undefined ? now : Math.floor(Date.parse(time) / 1000),
      })
    }),
  )

  api.post(
    '/v1/billing/meter_event_adjustments',
    inStripeWords(async (c) => {
      const { tenant } = principalOf(c)
      const form = readForm(await readCompatBody(c, deps, bounds))
      const id = form.get('cancel[identifier]')
      if (form.get('type') !== 'cancel') throw unreadable('"type" must be "cancel".')
      const body = Buffer.from(JSON.stringify({ events: [{ source: SOURCE, id, reason: VOID_REASON }] }))
      const answer = await ingest.correct({ tenant, kind: 'void', contentEncoding: undefined, body })
      requireTaken(answer)
      if (answer.kind === 'accepted' && answer.rejected.length > 0) {
        throw unreadable('"cancel[identifier]" must be the identifier of a meter event.')
      }
      return c.json({
        object: 'billing.meter_event_adjustment',
        cancel: { identifier: id },
        event_name: form.get('event_name'),
        livemode: true,
        status: 'complete',
        type: 'cancel',
      })
    }),
  )

  api.post(
    '/v2/billing/meter_event_session',
    inStripeWords(async (c) => {
      principalOf(c)
      const key = (keyHeader(c) ?? '').replace(/^Bearer +/i, '').trim()
      const now = clock.now()
      const expiresAt = instantOf(now + SESSION_MS)
      return c.json({
        id: `mes_${deps.newEventId()}`,
        object: 'v2.billing.meter_event_session',
        authentication_token: sessions.seal(key, expiresAt),
        created: formatInstant(now),
        expires_at: formatInstant(expiresAt),
        livemode: true,
      })
    }),
  )

  api.post(
    '/v2/billing/meter_event_stream',
    inStripeWords(async (c) => {
      const token = /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? ''
      const key = sessions.open(token, clock.now())
      if (key === null) throw sessionExpired()
      const { tenant } = authenticateRequest(authenticator, `Bearer ${key}`, 'ingest')
      const parsed = readExactJson(await readCompatBody(c, deps, bounds))
      if (parsed.kind === 'refused') throw problemOf(parsed)
      await ingestAll(deps, tenant, readStream(parsed.value, deps))
      return c.json({})
    }),
  )
}

function readForm(body: Uint8Array): ReadonlyMap<string, string> {
  return new Map(new URLSearchParams(Buffer.from(body).toString('utf8')))
}

function readStream(body: ExactJson, deps: CompatDeps): readonly CompatEvent[] {
  const events = isExactObject(body) ? body.get('events') : undefined
  if (!Array.isArray(events)) throw unreadable('The body must be {"events": [{…}, …]}.')
  if (events.length > STREAM_EVENTS_MAX) {
    throw unreadable(`A request has at most ${STREAM_EVENTS_MAX} events; this one has ${events.length}.`)
  }
  return (events as readonly ExactJson[]).map((event, i) => {
    const payload = isExactObject(event) ? event.get('payload') : undefined
    if (!isExactObject(event) || !isExactObject(payload)) {
      throw unreadable('An event must be an object with an object "payload".', [
        { pointer: `/events/${i}`, detail: 'not such an object' },
      ])
    }
    const time = event.get('timestamp') ?? undefined
    if (time !== undefined && typeof time !== 'string') throw unreadable('"timestamp" must be RFC 3339 text.')
    return eventOf(event.get('identifier') ?? deps.newEventId(), event.get('event_name'), payload, time)
  })
}

function eventOf(
  id: ExactJson,
  type: ExactJson | undefined,
  payload: ReadonlyMap<string, ExactJson>,
  time: string | undefined,
): CompatEvent {
  const data = new Map([...payload].filter(([key]) => key !== CUSTOMER_KEY))
  return { id, source: SOURCE, type, subject: payload.get(CUSTOMER_KEY), time, data }
}

function sessionExpired(): ProblemError {
  return new ProblemError({
    status: 401,
    code: 'sessionExpired',
    title: 'The session is not valid',
    detail: 'The token is not of a meter event session, or it has expired: make a new session.',
  })
}

/** Stripe's clients read `error`, and turn `type` into the class that they throw. */
function stripeProblem({ problem }: ProblemError): ProblemError {
  const rejected = problem.extra?.['rejected'] as readonly { readonly detail: string }[] | undefined
  const message = rejected?.[0]?.detail ?? problem.detail
  const type =
    problem.code === 'sessionExpired'
      ? 'temporary_session_expired'
      : problem.status >= 500
        ? 'api_error'
        : 'invalid_request_error'
  return new ProblemError({
    ...problem,
    // Stripe knows no 422.
    status: problem.status === 422 ? 400 : problem.status,
    extra: { ...problem.extra, error: { type, code: problem.code, message } },
  })
}
