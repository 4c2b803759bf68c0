import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import type { ApiEnv } from './api.ts'
import { ProblemError } from './problem.ts'

/**
 * The bytes of a request's body, never more than `bytesMax`: a longer body is answered 413 when its header says so,
 * else as soon as it has grown too long. Reads Node's request where there is one, which spares a stream and a copy.
 */
export async function readBoundedBody(c: Context<ApiEnv>, bytesMax: number): Promise<Uint8Array> {
  const incoming = (c.env as { readonly incoming?: IncomingMessage } | undefined)?.incoming
  const declared =
    incoming === undefined ? c.req.raw.headers.get('content-length') : incoming.headers['content-length']
  if (declared !== undefined && declared !== null && Number(declared) > bytesMax) throw tooLarge(bytesMax)
  return incoming === undefined ? readStream(c.req.raw.body, bytesMax) : readIncoming(incoming, bytesMax)
}

function readIncoming(incoming: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let length = 0
    incoming.on('data', (chunk: Uint8Array) => {
      length += chunk.length
      if (length > bytesMax) {
        chunks.length = 0
        reject(tooLarge(bytesMax))
      } else chunks.push(chunk)
    })
    incoming.on('end', () => {
      const [only] = chunks
      resolve(only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks, length))
    })
    incoming.on('error', () => reject(interrupted()))
    incoming.on('close', () => {
      if (!incoming.readableEnded) reject(interrupted())
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

function interrupted(): ProblemError {
  return new ProblemError({
    status: 400,
    code: 'bodyInterrupted',
    title: 'The body ended early',
    detail: 'The connection was closed before the whole body had arrived; nothing was taken.',
  })
}
