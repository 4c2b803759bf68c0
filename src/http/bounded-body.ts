import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import type { ApiEnv } from './api.ts'
import { ProblemError } from './problem.ts'

/** Longest time from the first byte of a body to its last: a slow sender must not hold memory for ever. */
const BODY_MS_MAX = 30_000

/** Bytes of bodies that may be arriving at one time. */
export const BODIES_BYTES_MAX = 67_108_864

/** Bytes of bodies that are being read, all requests together. A body that does not fit is answered 503. */
export class BodyBudget {
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Counts bytes that have arrived; false when they are too many, and then they do not count. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false
    this.#bytes += bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes
  }
}

export interface BodyBounds {
  readonly bytesMax: number
  /** Absent: only single bodies are bounded. */
  readonly budget?: BodyBudget
  /** BODY_MS_MAX where absent. */
  readonly msMax?: number
}

/**
 * The bytes of a request's body, never more than the bounds allow: a longer body is answered 413 when its header says
 * so, else as soon as it has grown too long; a slow one 408. Reads Node's request where there is one, which spares a
 * stream and a copy.
 */
export async function readBoundedBody(c: Context<ApiEnv>, bounds: number | BodyBounds): Promise<Uint8Array> {
  const all = typeof bounds === 'number' ? { bytesMax: bounds } : bounds
  const incoming = incomingOf(c)
  if (declaredBytes(c) > all.bytesMax) throw tooLarge(all.bytesMax)
  return incoming === undefined ? readStream(c.req.raw.body, all.bytesMax) : readIncoming(incoming, all)
}

/** What Content-Length says; 0 where it says nothing. */
export function declaredBytes(c: Context<ApiEnv>): number {
  const incoming = incomingOf(c)
  const declared =
    incoming === undefined ? c.req.raw.headers.get('content-length') : incoming.headers['content-length']
  return Number(declared ?? 0)
}

function incomingOf(c: Context<ApiEnv>): IncomingMessage | undefined {
  return (c.env as { readonly incoming?: IncomingMessage } | undefined)?.incoming
}

function readIncoming(
  incoming: IncomingMessage,
  { bytesMax, budget, msMax = BODY_MS_MAX }: BodyBounds,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let chunks: Uint8Array[] = []
    let length = 0
    let isSettled = false
    // Most bodies have arrived with their headers: only the others are timed.
    let timer: NodeJS.Timeout | null = null
    const settle = (end: () => void): void => {
      if (isSettled) return
      isSettled = true
      if (timer !== null) clearTimeout(timer)
      budget?.giveBack(length)
      end()
      chunks = []
    }
    incoming.on('data', (chunk: Uint8Array) => {
      if (isSettled) return
      if (length + chunk.length > bytesMax) {
        settle(() => reject(tooLarge(bytesMax)))
        return
      }
      if (budget?.take(chunk.length) === false) {
        settle(() => reject(overloaded()))
        return
      }
      length += chunk.length
      chunks.push(chunk)
      timer ??= incoming.complete ? null : setTimeout(() => settle(() => reject(tooSlow(msMax))), msMax)
    })
    incoming.on('end', () => {
      const [only] = chunks
      settle(() => resolve(only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks, length)))
    })
    incoming.on('error', () => settle(() => reject(interrupted())))
    incoming.on('close', () => {
      if (!incoming.readableEnded) settle(() => reject(interrupted()))
    })
  })
}

async function readStream(body: ReadableStream<Uint8Array> | null, bytesMax: number): Promise<Uint8Array> {
  if (body === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > bytesMax) throw tooLarge(bytesMax)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

function tooLarge(bytesMax: number): ProblemError {
  return new ProblemError({
    status: 413,
    code: 'bodyTooLarge',
    title: 'The body is too large',
    detail: `A request's body may have at most ${bytesMax} bytes, unpacked. Send smaller batches.`,
  })
}

function tooSlow(msMax: number): ProblemError {
  return new ProblemError({
    status: 408,
    code: 'bodyTooSlow',
    title: 'The body came too slowly',
    detail: `A body must arrive whole within ${msMax / 1000} seconds; nothing was taken. Send smaller batches.`,
    headers: { connection: 'close' },
  })
}

function overloaded(): ProblemError {
  return new ProblemError({
    status: 503,
    code: 'overloaded',
    title: 'Try again',
    detail: 'More bodies are arriving than may be held. Send the same request again after the pause.',
    retryAfterSeconds: 1,
  })
}

function interrupted(): ProblemError {
  return new ProblemError({
    status: 400,
    code: 'bodyInterrupted',
    title: 'The body ended early',
    detail: 'The connection was closed before the whole body had arrived; nothing was taken.',
  })
}
