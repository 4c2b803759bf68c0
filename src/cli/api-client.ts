import { z } from 'zod'
import { CliFailure, Interrupted } from './failure.ts'
import { printable } from './output.ts'

const problemShape = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
  instance: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
})

/** The server answered with a problem (RFC 9457). */
export class ApiProblem extends CliFailure {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string, details: readonly string[]) {
    super(message, { details })
    this.name = 'ApiProblem'
    this.status = status
    this.code = code
  }
}

type Query = Readonly<Record<string, string | readonly string[] | undefined>>

interface ServerSentEvent {
  readonly name: string
  readonly data: string
}

interface RequestOptions {
  /** The answer has no end. */
  readonly isStream?: true
  readonly query?: Query
  readonly contentType?: string
  /** Sent as it is; for bodies that are encoded already. */
  readonly rawBody?: string
  readonly idempotencyKey?: string
  /** True when doing it twice does no harm, so that a lost answer may be asked for again. */
  readonly repeatable?: boolean
}

/** A small client of the public HTTP API. Every refusal becomes an `ApiProblem` with a sentence to act on. */
export interface ApiClient {
  readonly url: string
  /** JSON in, JSON out; `body` undefined sends none. @throws ApiProblem, CliFailure, Interrupted */
  json(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<unknown>
  /** The answer's bytes as they come: a PDF, a CSV. */
  bytes(path: string, query?: Query): Promise<{ readonly contentType: string; readonly body: Uint8Array }>
  /** Server-sent events, until the server ends the stream or the user does. */
  messages(path: string, query?: Query): AsyncIterable<ServerSentEvent>
  /** Every item of a list, page after page. */
  list(path: string, query?: Query): Promise<readonly unknown[]>
}

export interface ApiClientOptions {
  readonly url: string
  readonly key: string | null
  readonly fetch: typeof fetch
  readonly interrupted: AbortSignal
  readonly newId: () => string
  /** Resolves after the time, or at once when interrupted. */
  readonly pause: (ms: number) => Promise<void>
}

const ATTEMPTS_MAX = 6
const PAUSE_MAX_MS = 10_000
const REQUEST_TIMEOUT_MS = 120_000

export function createApiClient(options: ApiClientOptions): ApiClient {
  const base = options.url.replace(/\/+$/, '')
  // A server that never answered is not there; one that went away in the middle may be restarting.
  let answered = false

  const attempt = async (
    method: string,
    target: string,
    init: RequestInit,
    isStream: boolean,
  ): Promise<Response> => {
    // Not AbortSignal.any with a timeout: both hold the request and its body until the time is up, which an import of
    // a gigabyte cannot afford. A stream is ended by the user alone.
    const late = new AbortController()
    const abort = (): void => late.abort(options.interrupted.reason)
    const timer = setTimeout(
      () => late.abort(new DOMException('no answer in time', 'TimeoutError')),
      REQUEST_TIMEOUT_MS,
    )
    if (options.interrupted.aborted) abort()
    options.interrupted.addEventListener('abort', abort)
    try {
      const signal = isStream ? options.interrupted : late.signal
      return await options.fetch(target, { ...init, method, signal })
    } catch (error) {
      if (options.interrupted.aborted) throw new Interrupted()
      throw unreachable(base, error)
    } finally {
      clearTimeout(timer)
      options.interrupted.removeEventListener('abort', abort)
    }
  }

  const request = async (
    method: string,
    path: string,
    body: unknown,
    { query, contentType, rawBody, idempotencyKey, repeatable, isStream }: RequestOptions,
  ): Promise<Response> => {
    const headers = new Headers({ accept: 'application/json' })
    if (options.key !== null) headers.set('authorization', `Bearer ${options.key}`)
    const payload = rawBody ?? (body === undefined ? undefined : JSON.stringify(body))
    if (payload !== undefined) headers.set('content-type', contentType ?? 'application/json')
    if (method === 'POST') headers.set('idempotency-key', idempotencyKey ?? options.newId())
    const target = `${base}${path}${encodeQuery(query ?? {})}`
    const init: RequestInit = payload === undefined ? { headers } : { headers, body: payload }
    const safe = repeatable ?? method !== 'POST'
    for (let n = 1; ; n++) {
      const last = n === ATTEMPTS_MAX || !safe
      let response: Response
      try {
        response = await attempt(method, target, init, isStream === true)
        answered = true
      } catch (error) {
        if (error instanceof Interrupted || last || !answered) throw error
        await options.pause(retryPause(null, n))
        if (options.interrupted.aborted) throw new Interrupted()
        continue
      }
      if (response.ok) return response
      const busy = response.status === 503 || response.status === 429
      if (!busy || last) throw await readProblem(response, method, path)
      await response.body?.cancel()
      await options.pause(retryPause(response.headers.get('retry-after'), n))
      if (options.interrupted.aborted) throw new Interrupted()
    }
  }

  const json: ApiClient['json'] = async (method, path, body, requestOptions = {}) => {
    const response = await request(method, path, body, requestOptions)
    if (response.status === 204) return null
    try {
      return await response.json()
    } catch (error) {
      if (options.interrupted.aborted) throw new Interrupted()
      throw new CliFailure(
        `${method} ${path}: the answer of ${base} is not JSON. Is that a Tallyman server?`,
        {
          cause: error,
        },
      )
    }
  }

  return {
    url: base,
    json,
    bytes: async (path, query) => {
      const response = await request('GET', path, undefined, query === undefined ? {} : { query })
      return {
        contentType: response.headers.get('content-type') ?? '',
        body: new Uint8Array(await response.arrayBuffer()),
      }
    },
    messages: async function* (path, query = {}) {
      const { body } = await request('GET', path, undefined, { query, isStream: true })
      if (body === null) return
      try {
        yield* serverSentEvents(body)
      } catch (error) {
        if (options.interrupted.aborted) return
        throw unreachable(base, error)
      }
    },
    list: async (path, query = {}) => {
      const items: unknown[] = []
      let cursor: string | undefined
      do {
        const page = readShape(
          listShape,
          await json('GET', path, undefined, { query: { ...query, cursor } }),
          path,
        )
        items.push(...page.data)
        cursor = page.hasMore === true ? (page.nextCursor ?? undefined) : undefined
      } while (cursor !== undefined)
      return items
    },
  }
}

/** Messages are parted by an empty line; comments, which keep the connection open, are left out. */
async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const lines = block.split('\n')
      const data = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6))
      if (data.length === 0) continue
      const name = lines.find((line) => line.startsWith('event: '))?.slice(7) ?? 'message'
      yield { name, data: data.join('\n') }
    }
  }
}

const listShape = z.object({
  data: z.array(z.unknown()),
  nextCursor: z.string().nullish(),
  hasMore: z.boolean().nullish(),
})

/** Reads an answer of the API in the shape that this command knows. @throws CliFailure when it has another shape */
export function readShape<T>(shape: z.ZodType<T>, answer: unknown, path: string): T {
  const outcome = shape.safeParse(answer)
  if (outcome.success) return outcome.data
  throw new CliFailure(
    `The answer to ${path} is not as this command expects it; the server may be of another version.`,
    {
      details: outcome.error.issues.slice(0, 5).map((issue) => `/${issue.path.join('/')}: ${issue.message}`),
    },
  )
}

function encodeQuery(query: Query): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    for (const one of typeof value === 'string' ? [value] : value) params.append(name, one)
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

function retryPause(retryAfter: string | null, attempt: number): number {
  const seconds = Number(retryAfter)
  const wanted = retryAfter !== null && Number.isFinite(seconds) ? seconds * 1000 : 250 * 2 ** attempt
  return Math.min(Math.max(wanted, 50), PAUSE_MAX_MS)
}

function unreachable(url: string, error: unknown): CliFailure {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const reason = cause instanceof Error ? cause.message || cause.name : String(cause)
  if (error instanceof TypeError && /URL/.test(error.message)) {
    return new CliFailure(
      `${url} is not an address of a server. Give one like http://127.0.0.1:8888 with --url.`,
    )
  }
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new CliFailure(`${url} did not answer within ${REQUEST_TIMEOUT_MS / 1000} seconds.`, {
      cause: error,
    })
  }
  return new CliFailure(
    `No server answers at ${url} (${reason}). Start one with \`tallyman start\`, or say where it is with --url.`,
    { cause: error },
  )
}

function parseProblem(text: string): z.infer<typeof problemShape> {
  try {
    return problemShape.parse(JSON.parse(text))
  } catch {
    return { detail: text.slice(0, 300) } // a proxy's page, not our server's problem
  }
}

async function readProblem(response: Response, method: string, path: string): Promise<ApiProblem> {
  const text = await response.text()
  const problem = parseProblem(text)
  const code = problem.code ?? `http${response.status}`
  const sentence = problem.detail ?? problem.title ?? 'no reason given'
  const faults = (problem.errors ?? []).map((fault) => printable(`  ${fault.pointer}: ${fault.detail}`))
  const hints = [
    ...(response.status === 401 ? ['Give a key with --key or TALLYMAN_API_KEY.'] : []),
    ...(response.status >= 500 && problem.instance !== undefined ? [`request ${problem.instance}`] : []),
  ]
  return new ApiProblem(
    response.status,
    code,
    printable(`${method} ${path}: ${response.status} ${code}: ${sentence}`),
    [...(sentence.includes(problem.errors?.[0]?.detail ?? '\u0000') ? [] : faults), ...hints],
  )
}
