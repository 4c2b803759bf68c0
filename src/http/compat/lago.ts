import type { Context } from 'hono'
import type { TenantId } from '../../id/ids.ts'
import { type ExactJson, type ExactObject, isExactObject, writeExactJson } from '../../ingest/exact-json.ts'
import { formatInstant } from '../../time/instant.ts'
import type { ApiEnv } from '../api.ts'
import { ProblemError } from '../problem.ts'
import { type CompatDeps, type CompatEvent, ingestAll, timeOfSeconds, unreadable } from './call.ts'

/** Lago's own bound of a batch. */
const BATCH_EVENTS_MAX = 100
/** Events that came through Lago's API: their identity is the transaction id alone, as there. */
const SOURCE = 'lago'

/** Whether a body is one of Lago's: `{event: {…}}` or `{events: […]}`. */
export function isLagoBody(body: ExactJson): body is ExactObject {
  return isExactObject(body) && !body.has('specversion') && (body.has('event') || body.has('events'))
}

/**
 * Takes the events of `POST /events` and `POST /events/batch` and answers with them, as Lago does. A transaction id that
 * was used before is a duplicate and answered like the first; its timestamp does not take part.
 */
export async function acceptLago(
  c: Context<ApiEnv>,
  deps: CompatDeps,
  tenant: TenantId,
  body: ExactJson,
): Promise<Response> {
  if (!isLagoBody(body)) throw unreadable('The body must be {"event": {…}} or {"events": [{…}, …]}.')
  const single = body.get('event')
  const many = single === undefined ? body.get('events') : [single]
  if (!Array.isArray(many) || !many.every((one) => isExactObject(one as ExactJson))) {
    throw unreadable('"event" must be an object, "events" an array of objects.')
  }
  const events = many as readonly ExactObject[]
  if (events.length > BATCH_EVENTS_MAX) {
    throw unreadable(`A batch has at most ${BATCH_EVENTS_MAX} events; this one has ${events.length}.`)
  }
  const arrivedAt = formatInstant(deps.clock.now())
  const read = events.map((event, i) => readEvent(event, i, deps, tenant))
  try {
    await ingestAll(deps, tenant, read)
  } catch (error) {
    throw error instanceof ProblemError ? inLagoWords(error) : error
  }
  const told = events.map((event, i) => tellEvent(event, read[i]?.time ?? arrivedAt, arrivedAt))
  const answer = single === undefined ? { events: told } : { event: told[0] ?? null }
  const text = writeExactJson(new Map<string, ExactJson>(Object.entries(answer)))
  return c.body(text, 200, { 'content-type': 'application/json' })
}

function readEvent(event: ExactObject, index: number, deps: CompatDeps, tenant: TenantId): CompatEvent {
  const timestamp = event.get('timestamp') ?? null
  const time = timestamp === null ? undefined : timeOfSeconds(timestamp)
  if (time === null) {
    const detail = '"timestamp" must be seconds since 1970, a number or text.'
    throw unreadable(detail, [{ pointer: `/events/${index}/timestamp`, detail }])
  }
  const subscription = event.get('external_subscription_id')
  const amount = event.get('precise_total_amount_cents') ?? null
  const properties = event.get('properties') ?? new Map<string, ExactJson>()
  return {
    id: event.get('transaction_id'),
    source: SOURCE,
    type: event.get('code'),
    subject:
      typeof subscription === 'string'
        ? (deps.subjectOfSubscription(tenant, subscription) ?? subscription)
        : subscription,
    time,
    data:
      amount !== null && isExactObject(properties)
        ? new Map([...properties, ['precise_total_amount_cents', amount]])
        : properties,
  }
}

function tellEvent(event: ExactObject, time: string, arrivedAt: string): ExactObject {
  return new Map<string, ExactJson>([
    ['lago_id', null],
    ['transaction_id', event.get('transaction_id') ?? null],
    ['lago_customer_id', null],
    ['code', event.get('code') ?? null],
    ['timestamp', time],
    ['precise_total_amount_cents', event.get('precise_total_amount_cents') ?? null],
    ['properties', event.get('properties') ?? new Map<string, ExactJson>()],
    ['lago_subscription_id', null],
    ['external_subscription_id', event.get('external_subscription_id') ?? null],
    ['created_at', arrivedAt],
  ])
}

/** Lago's clients look for `error` and `error_details`. */
function inLagoWords(error: ProblemError): ProblemError {
  const { problem } = error
  const rejected = problem.extra?.['rejected']
  const details = Array.isArray(rejected)
    ? Object.fromEntries(
        (rejected as readonly { index: number; code: string }[]).map(({ index, code }) => [
          index,
          { event: [code] },
        ]),
      )
    : {}
  return new ProblemError({
    ...problem,
    extra: { ...problem.extra, error: problem.title, error_details: details },
  })
}
