import type { HttpOutcome } from './answer.ts'
import type { Clock } from './clock.ts'
import { parseRetryAfter } from './retry.ts'

export interface PostDeps {
  readonly url: string
  readonly apiKey: () => string
  readonly clock: Clock
  readonly fetch: typeof globalThis.fetch
  readonly requestTimeoutMs: number
  /** Aborted when the client is closed for good. */
  readonly stopped: AbortSignal
}

/**
 * One POST of a batch of CloudEvents. Never rejects: what is no answer is an outcome, too. A redirect is not followed,
 * for the key belongs to this address only.
 */
export async function postBatch(deps: PostDeps, body: Uint8Array<ArrayBuffer>): Promise<HttpOutcome> {
  const { clock, requestTimeoutMs, stopped } = deps
  const timeout = new AbortController()
  const stop = (): void => timeout.abort(new Error('The client was closed.'))
  stopped.addEventListener('abort', stop)
  const cancel = clock.schedule(requestTimeoutMs, () => {
    timeout.abort(new Error(`No answer within ${requestTimeoutMs} ms.`))
  })
  try {
    const response = await deps.fetch(deps.url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${deps.apiKey()}`,
        'content-type': 'application/cloudevents-batch+json',
      },
      body,
      redirect: 'manual',
      signal: timeout.signal,
    })
    const text = await readText(response)
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), clock.now())
    return { kind: 'answered', status: response.status, retryAfterMs, text }
  } catch (error) {
    return { kind: 'unreachable', detail: describe(error) }
  } finally {
    cancel()
    stopped.removeEventListener('abort', stop)
  }
}

/** A batch of 10,000 events with a rejection for each is below it. */
const ANSWER_BYTES_MAX = 16_777_216

async function readText(response: Response): Promise<string> {
  // A reader, for not every runtime can iterate over a stream.
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader()
  if (reader === undefined) return ''
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    bytes += value.length
    if (bytes > ANSWER_BYTES_MAX) {
      await reader.cancel()
      throw new Error(`The answer is longer than ${ANSWER_BYTES_MAX} bytes.`)
    }
    text += decoder.decode(value, { stream: true })
  }
}

/** `fetch failed` says nothing; its cause does. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
