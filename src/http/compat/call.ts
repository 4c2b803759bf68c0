import type { Context } from 'hono'
import type { IngestAnswer } from '../../ingest/answer.ts'
import { unpackBody } from '../../ingest/body.ts'
import { type ExactJson, ExactNumber, type ExactObject, writeExactJson } from '../../ingest/exact-json.ts'
import type { Ingest } from '../../ingest/ingest.ts'
import { plainNumberText } from '../../ingest/number-text.ts'
import type { Clock } from '../../time/clock.ts'
import type { TenantId } from '../../id/ids.ts'
import type { ApiEnv, Authenticator } from '../api.ts'
import { type BodyBounds, declaredBytes, readBoundedBody } from '../bounded-body.ts'
import { problemOf } from '../events.ts'
import { ProblemError } from '../problem.ts'

/** What every drop-in endpoint stands on. */
export interface CompatDeps {
  readonly authenticator: Authenticator
  readonly ingest: Pick<Ingest, 'accept' | 'correct' | 'shed'>
  readonly clock: Clock
  /** An id for an event that came without one. */
  readonly newEventId: () => string
  /** The subject behind an `external_subscription_id`; null where no subscription has it, and then it is the subject. */
  readonly subjectOfSubscription: (tenant: TenantId, externalId: string) => string | null
  readonly bodyBytesMax: number
}

/** The bytes of the request's body, unpacked and bounded. */
export async function readCompatBody(
  c: Context<ApiEnv>,
  deps: CompatDeps,
  bounds: BodyBounds,
): Promise<Uint8Array> {
  const turnedAway = deps.ingest.shed(declaredBytes(c))
  if (turnedAway !== null && turnedAway.kind !== 'accepted') throw problemOf(turnedAway)
  const packed = await readBoundedBody(c, bounds)
  const unpacked = await unpackBody(c.req.header('content-encoding') ?? '', packed, deps.bodyBytesMax)
  if (unpacked.kind === 'refused') throw problemOf(unpacked)
  return unpacked.bytes
}

/** Members of a CloudEvent that is made of another vendor's. Absent members are left to be found missing. */
export interface CompatEvent {
  readonly id: ExactJson | undefined
  readonly source: string
  readonly type: ExactJson | undefined
  readonly subject: ExactJson | undefined
  /** RFC 3339; undefined: the time of arrival. */
  readonly time: string | undefined
  readonly data: ExactJson | undefined
}

/** Hands events to the stage, all or none, and answers when they are durable. @throws ProblemError when they are not taken */
export async function ingestAll(
  deps: CompatDeps,
  tenant: TenantId,
  events: readonly CompatEvent[],
): Promise<void> {
  const batch = events.map(({ id, source, type, subject, time, data }) => {
    const members: [string, ExactJson | undefined][] = [
      ['specversion', '1.0'],
      ['id', id],
      ['source', source],
      ['type', type],
      ['subject', subject],
      ['time', time],
      ['data', data === undefined ? undefined : withNumbersAsText(data)],
    ]
    return new Map(members.filter((one): one is [string, ExactJson] => one[1] !== undefined))
  })
  const answer = await deps.ingest.accept({
    tenant,
    contentType: 'application/cloudevents-batch+json',
    contentEncoding: undefined,
    headers: () => ({}),
    body: Buffer.from(writeExactJson(batch)),
    atomic: true,
    receipts: false,
  })
  requireTaken(answer)
}

export function requireTaken(answer: IngestAnswer): void {
  if (answer.kind !== 'accepted') throw problemOf(answer)
}

/**
 * Vendors' clients send quantities as JSON numbers with all the digits of a double. They are kept as they are spelled;
 * what is beyond the bounds stays a number, and is rejected.
 */
export function withNumbersAsText(value: ExactJson): ExactJson {
  if (value instanceof ExactNumber) return plainNumberText(value.text) ?? value
  if (value instanceof Map) {
    return new Map([...(value as ExactObject)].map(([key, member]) => [key, withNumbersAsText(member)]))
  }
  return Array.isArray(value) ? (value as readonly ExactJson[]).map(withNumbersAsText) : value
}

/** Seconds since 1970, a number or text of one with or without a fraction, as RFC 3339; null when it is neither. */
export function timeOfSeconds(value: ExactJson): string | null {
  const text = value instanceof ExactNumber ? plainNumberText(value.text) : value
  if (typeof text !== 'string') return null
  const match = /^(\d{1,11})(?:\.(\d+))?$/.exec(text)
  if (match === null) return null
  const at = new Date(Number(match[1]) * 1000 + Number((match[2] ?? '').padEnd(3, '0').slice(0, 3)))
  return at.toISOString()
}

export function unreadable(
  detail: string,
  errors?: readonly { pointer: string; detail: string }[],
): ProblemError {
  return new ProblemError({
    status: 400,
    code: 'invalidRequest',
    title: 'The request is not valid',
    detail,
    ...(errors === undefined ? {} : { errors }),
  })
}
