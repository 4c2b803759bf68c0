import { createHash } from 'node:crypto'
import type { Context, MiddlewareHandler, Next } from 'hono'
import { type IdPrefix, makeId, type TenantId } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import type { Instant } from '../time/instant.ts'
import type { ApiEnv } from './api.ts'
import { ProblemError } from './problem.ts'
import { type AnswerSecrets, openAnswer, sealAnswer } from './sealed-answer.ts'

interface CommandName {
  readonly tenant: TenantId
  readonly route: string
  readonly key: string
}
type RunningCommand = CommandName & { readonly attempt: number }

/** Which commands ran under which keys. Of all requests under one key, one at a time is told to run. */
interface IdempotencyStore {
  claim(
    name: CommandName,
    fingerprint: string,
    now: Instant,
  ): Promise<
    | { readonly kind: 'run'; readonly command: RunningCommand; readonly firstAt: Instant }
    | { readonly kind: 'replay'; readonly status: number; readonly answer: Uint8Array }
    | { readonly kind: 'conflict' }
    | { readonly kind: 'running'; readonly until: Instant }
  >
  /** These answer false where another attempt has taken over. */
  extend(command: RunningCommand, now: Instant): Promise<boolean>
  complete(command: RunningCommand, status: number, answer: Uint8Array): Promise<boolean>
  abandon(command: RunningCommand, now: Instant): Promise<boolean>
}

export interface IdempotencyDeps {
  readonly store: IdempotencyStore
  readonly clock: Clock
  /** Told when an answer could not be kept: the command has run, and its client has the answer. */
  readonly onFault: (error: unknown, requestId: string) => void
  /** Well below the time for which the store believes a silent process. */
  readonly extendEveryMs?: number
}

const EXTEND_EVERY_MS = 10_000
const keyCharsMax = 255
const routeCharsMax = 300
/** What a client needs of an answer beside its body. */
const KEPT_HEADERS = ['content-type', 'location', 'cache-control', 'etag'] as const
/** Questions that are asked with POST: an old answer would be a wrong one. */
export const QUESTIONS: ReadonlySet<string> = new Set([
  '/v1/keys/verify',
  '/v1/invoices/preview',
  '/v1/meters/test',
  '/v1/rate',
])
const WRITES: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/**
 * The header `Idempotency-Key` on writes of the control plane: a repeat with the same body gets the stored answer and
 * `idempotency-replayed: true`; with another body 422; while the first runs, 409. What says to try again is not stored.
 * It takes effect in `scoped`, when the caller is known and the body has been read.
 */
export function idempotency(deps: IdempotencyDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const key = c.req.header('idempotency-key')
    if (key !== undefined && WRITES.has(c.req.method) && !QUESTIONS.has(c.req.path)) {
      if (!/^[\x21-\x7e]+$/.test(key) || key.length > keyCharsMax) throw malformedKey()
      c.set('repeats', (context, run) => once(deps, key, context, run))
    }
    await next()
  }
}

/**
 * An id for what the request makes. With an Idempotency-Key it is the same however often the request is run, so that
 * a command whose process died before it could answer finds what it made. Where there is none, `fresh` makes one.
 */
export function repeatableId(c: Context<ApiEnv>, prefix: IdPrefix, fresh: () => string): string {
  const repeatable = c.get('repeatable')
  return repeatable === undefined ? fresh() : makeId(prefix, repeatable.firstAt, repeatable.seed)
}

async function once(
  deps: IdempotencyDeps,
  idempotencyKey: string,
  c: Context<ApiEnv>,
  next: Next,
): Promise<Response | undefined> {
  const { store, clock } = deps
  const name: CommandName = {
    tenant: c.get('principal').tenant,
    route: routeOf(c.req.method, c.req.path),
    key: sha256(idempotencyKey).toString('hex'),
  }
  const secrets = { idempotencyKey, apiKey: c.req.header('authorization') ?? '' }
  const fingerprint = await fingerprintOf(c)
  const claim = await store.claim(name, fingerprint, clock.now())
  switch (claim.kind) {
    case 'conflict':
      throw new ProblemError({
        status: 422,
        code: 'idempotencyKeyReused',
        title: 'The Idempotency-Key was used before',
        detail: 'It was sent with another body or query to this route. Use a new key for a new request.',
      })
    case 'running':
      throw new ProblemError({
        status: 409,
        code: 'requestRunning',
        title: 'The request is running',
        detail: 'A request with this Idempotency-Key has not been answered yet. Repeat it for its answer.',
        retryAfterSeconds: 1,
      })
    case 'replay':
      return replayed(claim.status, openAnswer(claim.answer, secrets, JSON.stringify(name)))
    case 'run':
      c.set('repeatable', { firstAt: claim.firstAt, seed: sha256(JSON.stringify(name)) })
      await run(deps, claim.command, name, secrets, c, next)
      return undefined
  }
}

/** Runs the command, says meanwhile that it does, and keeps its answer. */
async function run(
  { store, clock, onFault, extendEveryMs = EXTEND_EVERY_MS }: IdempotencyDeps,
  command: RunningCommand,
  name: CommandName,
  secrets: AnswerSecrets,
  c: Context<ApiEnv>,
  next: Next,
): Promise<void> {
  const told = async (what: string, write: () => Promise<boolean>): Promise<void> => {
    const { route } = name
    try {
      if (!(await write())) throw new Error(`${what} of ${route}: another attempt has taken over`)
    } catch (error) {
      // The command itself has run: its client gets the answer, and the operator this.
      onFault(error, c.get('requestId'))
    }
  }
  const timer = setInterval(
    () => void told('the lock', () => store.extend(command, clock.now())),
    extendEveryMs,
  )
  timer.unref()
  try {
    await next()
  } finally {
    clearInterval(timer)
  }
  const { status } = c.res
  if (status >= 500 || status === 429) {
    await told('the release', () => store.abandon(command, clock.now()))
    return
  }
  const headers = Object.fromEntries(
    KEPT_HEADERS.flatMap((header) => {
      const value = c.res.headers.get(header)
      return value === null ? [] : [[header, value]]
    }),
  )
  const body = await c.res.clone().text()
  const sealed = sealAnswer({ headers, body }, secrets, JSON.stringify(name))
  await told('the answer', () => store.complete(command, status, sealed))
}

function replayed(status: number, answer: { headers: object; body: string } | null): Response {
  if (answer === null) {
    throw new ProblemError({
      status: 409,
      code: 'answerOfAnotherKey',
      title: 'The answer belongs to another API key',
      detail: `The request has run and was answered ${status}. Its answer can be read only with the API key that sent it; it may hold a secret.`,
    })
  }
  return new Response(answer.body === '' ? null : answer.body, {
    status,
    headers: { ...answer.headers, 'idempotency-replayed': 'true' },
  })
}

/** What must be the same in a repeat, beside the route. */
async function fingerprintOf(c: Context<ApiEnv>): Promise<string> {
  const query = new URL(c.req.url).search
  return sha256(JSON.stringify([query, await c.req.text()])).toString('hex')
}

/** A path may be longer than what an index can hold. */
function routeOf(method: string, path: string): string {
  const route = `${method} ${path}`
  return route.length <= routeCharsMax ? route : `${method} sha256:${sha256(path).toString('hex')}`
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function malformedKey(): ProblemError {
  return new ProblemError({
    status: 400,
    code: 'malformedIdempotencyKey',
    title: 'The Idempotency-Key cannot be used',
    detail: `It must have 1 to ${keyCharsMax} visible characters of ASCII, such as a UUID.`,
  })
}
