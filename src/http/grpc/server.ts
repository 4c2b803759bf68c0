import {
  constants,
  createServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { MalformedMessage } from './protobuf.ts'

/** Of the codes of gRPC (grpc.github.io, "Status codes and their use") those that we answer. */
export const GRPC_STATUS = {
  ok: 0,
  invalidArgument: 3,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const
type GrpcStatus = (typeof GRPC_STATUS)[keyof typeof GRPC_STATUS]

export type GrpcAnswer =
  | { readonly kind: 'message'; readonly message: Buffer }
  | { readonly kind: 'failure'; readonly status: Exclude<GrpcStatus, 0>; readonly detail: string }

/** A call of one message that is answered with one. @throws MalformedMessage for a request that is none */
export type UnaryCall = (request: Buffer) => Promise<GrpcAnswer>

export interface GrpcServer {
  readonly port: number
  /** Takes no new call, lets running calls finish; after the limit, all of them end. */
  stop(limitMs: number): Promise<void>
}

export interface GrpcServerOptions {
  readonly host: string
  readonly port: number
  /** By path: `/envoy.service.auth.v3.Authorization/Check`. */
  readonly calls: ReadonlyMap<string, UnaryCall>
  /** Told of faults of ours, which are answered `internal`. */
  readonly onFault: (path: string, error: unknown) => void
}

/** Headers of a request are the most of a message; a proxy takes 60 KiB of them. */
const MESSAGE_BYTES_MAX = 262_144
const CALLS_PER_CONNECTION_MAX = 1_000
const PREFIX_BYTES = 5

/**
 * gRPC over HTTP/2 without TLS, unary calls only (gRPC "PROTOCOL-HTTP2"): all that a proxy on the same machine needs.
 * Rejects when the port is taken.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { calls, onFault } = options
  const server = createServer({ settings: { maxConcurrentStreams: CALLS_PER_CONNECTION_MAX } })
  const sessions = new Set<Http2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    // A connection that breaks is the other side's affair: its calls end with it.
    session.on('error', () => session.destroy())
  })
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => stream.destroy())
    void answer(stream, headers, calls, onFault)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    stop: (limitMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          for (const session of sessions) session.destroy()
        }, limitMs)
        server.close(() => {
          clearTimeout(timer)
          resolve()
        })
        for (const session of sessions) session.close()
      }),
  }
}

async function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  calls: GrpcServerOptions['calls'],
  onFault: GrpcServerOptions['onFault'],
): Promise<void> {
  if (headers['content-type']?.startsWith('application/grpc') !== true) {
    stream.respond({ ':status': 415 }, { endStream: true })
    return
  }
  const path = headers[':path'] ?? ''
  const call = calls.get(path)
  if (call === undefined) {
    fail(stream, GRPC_STATUS.unimplemented, `There is no ${path} here.`)
    return
  }
  try {
    const body = await bodyOf(stream)
    if (body === null) {
      fail(stream, GRPC_STATUS.resourceExhausted, `A message has at most ${MESSAGE_BYTES_MAX} bytes.`)
      // What still comes of it is not waited for.
      stream.close(constants.NGHTTP2_NO_ERROR)
      return
    }
    const answered = await call(messageIn(body))
    if (stream.destroyed) return
    if (answered.kind === 'message') succeed(stream, answered.message)
    else fail(stream, answered.status, answered.detail)
  } catch (error) {
    if (stream.destroyed) return
    if (error instanceof MalformedMessage) fail(stream, GRPC_STATUS.invalidArgument, error.message)
    else {
      onFault(path, error)
      fail(stream, GRPC_STATUS.internal, 'A fault of ours.')
    }
  }
}

/**
 * Everything of a call; null when it is too much. Not by iteration: leaving one early destroys the stream, and nobody
 * would be told why.
 */
function bodyOf(stream: ServerHttp2Stream): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= MESSAGE_BYTES_MAX + PREFIX_BYTES) chunks.push(chunk)
      else resolve(null)
    })
    stream.once('end', () => resolve(Buffer.concat(chunks)))
    // The other side has gone: nobody waits for the answer.
    stream.once('close', () => resolve(NOTHING))
  })
}

const NOTHING = Buffer.alloc(0)

/** The one message of a unary call: a byte that says whether it is compressed, four of its length, and the message. */
function messageIn(body: Buffer): Buffer {
  if (body.length < PREFIX_BYTES || body.readUInt32BE(1) !== body.length - PREFIX_BYTES) {
    throw new MalformedMessage('A unary call has exactly one message.')
  }
  if (body[0] !== 0) throw new MalformedMessage('Compressed messages are not read.')
  return body.subarray(PREFIX_BYTES)
}

function succeed(stream: ServerHttp2Stream, message: Buffer): void {
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUInt32BE(message.length, 1)
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(Buffer.concat([prefix, message]))
}

function fail(stream: ServerHttp2Stream, status: number, detail: string): void {
  const told = { 'grpc-status': String(status), 'grpc-message': encodeURIComponent(detail) }
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...told }, { endStream: true })
}
