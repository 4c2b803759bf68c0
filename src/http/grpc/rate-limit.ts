import type { LocalGateOutcome } from '../../provision/local-gate.ts'
import { checkOrUnavailable } from '../gate/check.ts'
import type { GateDeps } from '../gate/gate-deps.ts'
import { questionOf, readRequirement } from '../gate/question.ts'
import { bytesField, fieldsOf, messageOf, pairOf, textField, varintField } from './protobuf.ts'
import { GRPC_STATUS, type GrpcAnswer, type UnaryCall } from './server.ts'

export const SHOULD_RATE_LIMIT = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit'

interface Descriptor {
  readonly entries: ReadonlyMap<string, string>
  readonly hits: bigint | null
}

interface RateLimitRequest {
  readonly descriptors: readonly Descriptor[]
  readonly hits: bigint
}

/** RateLimitResponse.Code */
const OK = 1
const OVER_LIMIT = 2

/**
 * `ShouldRateLimit` of Envoy's rate limit service, version 3. A descriptor is a question about one key:
 *
 * | entry | |
 * |---|---|
 * | `api_key` | the key, or the whole `Authorization` header |
 * | `quota` | of which leased quota the hits are units; without it the request spends its rates only |
 * | `permission` | what the key must be allowed |
 * | `remote_address` | where the caller is |
 *
 * The protocol knows two answers, so every refusal of a caller is OVER_LIMIT, with the problem as its body. When the
 * gate cannot decide the call fails, and Envoy does what it is configured to do then.
 */
export function createRateLimit(deps: GateDeps): UnaryCall {
  return async (message) => {
    const request = readRequest(message)
    const statuses: Buffer[] = []
    let refused: LocalGateOutcome | null = null
    let headers: Readonly<Record<string, string>> = {}
    for (const { entries, hits } of request.descriptors) {
      const outcome = await ask(deps, entries, hits ?? request.hits)
      if (outcome.kind === 'failure') return outcome
      const { isAllowed, answer } = outcome.outcome
      statuses.push(bytesField(2, varintField(1, isAllowed ? OK : OVER_LIMIT)))
      headers = { ...headers, ...answer.headers }
      if (!isAllowed) refused ??= outcome.outcome
      // What is refused already must not spend anything more.
      if (!isAllowed) break
    }
    return { kind: 'message', message: responseOf(statuses, headers, refused) }
  }
}

type Asked =
  Extract<GrpcAnswer, { kind: 'failure' }> | { readonly kind: 'outcome'; readonly outcome: LocalGateOutcome }

async function ask(deps: GateDeps, entries: ReadonlyMap<string, string>, hits: bigint): Promise<Asked> {
  const invalid = (detail: string): Asked => ({
    kind: 'failure',
    status: GRPC_STATUS.invalidArgument,
    detail,
  })
  const presented = entries.get('api_key')
  if (presented === undefined) return invalid('A descriptor must have the entry "api_key".')
  const pairs: (readonly [string, string])[] = []
  for (const [name, value] of entries) {
    if (name === 'permission') pairs.push(['permission', value])
    else if (name === 'quota') pairs.push([`cost.${value}`, String(hits)])
    else if (!OTHER_ENTRIES.has(name)) return invalid(`The entry "${name}" is not known.`)
  }
  const needed = readRequirement(pairs)
  if (needed.kind === 'fault') return invalid(needed.detail)
  const headers = {
    [presented.startsWith('Bearer ') ? 'authorization' : 'x-api-key']: presented,
    'x-forwarded-for': entries.get('remote_address'),
  }
  const question = questionOf(headers, needed.requirement, null)
  const outcome = await checkOrUnavailable(deps, question, deps.newRequestId())
  if (outcome.answer.status !== 503) return { kind: 'outcome', outcome }
  // Told as a refusal it would become a 429, which blames the caller for what is our doing.
  return { kind: 'failure', status: GRPC_STATUS.unavailable, detail: 'The gate cannot decide.' }
}

const OTHER_ENTRIES: ReadonlySet<string> = new Set(['api_key', 'remote_address'])

/** RateLimitRequest: descriptors = 2 (entries = 1, hits_addend = 3), hits_addend = 3; no hits mean one. */
function readRequest(message: Buffer): RateLimitRequest {
  const descriptors: Descriptor[] = []
  let hits = 0n
  for (const field of fieldsOf(message)) {
    if (field.number === 2 && field.kind === 'bytes') descriptors.push(readDescriptor(field.bytes))
    else if (field.number === 3 && field.kind === 'varint') hits = field.value
  }
  return { descriptors, hits: hits === 0n ? 1n : hits }
}

function readDescriptor(message: Buffer): Descriptor {
  const entries = new Map<string, string>()
  let hits: bigint | null = null
  for (const field of fieldsOf(message)) {
    if (field.kind !== 'bytes') continue
    if (field.number === 1) {
      const [key, value] = pairOf(field.bytes)
      entries.set(key, value)
    } else if (field.number === 3) {
      // A UInt64Value: here a zero is said on purpose, and asks without spending units.
      hits = 0n
      for (const inner of fieldsOf(field.bytes)) if (inner.kind === 'varint') hits = inner.value
    }
  }
  return { entries, hits }
}

/** RateLimitResponse: overall_code = 1, statuses = 2, response_headers_to_add = 3 (HeaderValue), raw_body = 5. */
function responseOf(
  statuses: readonly Buffer[],
  headers: Readonly<Record<string, string>>,
  refused: LocalGateOutcome | null,
): Buffer {
  const told = refused === null ? headers : { ...headers, 'content-type': 'application/problem+json' }
  return messageOf(
    varintField(1, refused === null ? OK : OVER_LIMIT),
    ...statuses,
    ...Object.entries(told).map(([name, value]) =>
      bytesField(3, messageOf(textField(1, name), textField(2, value))),
    ),
    ...(refused === null ? [] : [textField(5, JSON.stringify(refused.answer.problem))]),
  )
}
