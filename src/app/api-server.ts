import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { listenFailure } from './start-failure.ts'

export interface ApiServer {
  readonly url: string
  /** Takes no new connection, lets running requests finish, closes idle connections; after the limit, all of them. */
  stop(limitMs: number): Promise<void>
}

export interface ApiServerOptions {
  readonly host: string
  readonly port: number
  readonly fetch: (request: Request, env: unknown) => Response | Promise<Response>
  /** Answers what does not go through `fetch`; false where a request is none of it. */
  readonly direct?: (request: IncomingMessage, response: ServerResponse) => boolean
  /** Longest time for the headers of a request to arrive: a slow sender must not hold a socket for ever. */
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
}

/** The API's socket. @throws StartFailure when it cannot listen */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const listener = getRequestListener((request, env) => options.fetch(request, env), {
    hostname: options.host,
    overrideGlobalObjects: false,
  })
  let isStopping = false
  const server = createServer(
    {
      headersTimeout: options.headersTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      maxHeaderSize: 16_384,
      keepAliveTimeout: 65_000,
    },
    (request, response) => {
      // Connections that a client keeps open end with the answer that is under way.
      if (isStopping) response.shouldKeepAlive = false
      if (options.direct?.(request, response) !== true) void listener(request, response)
    },
  )
  server.maxHeadersCount = 100
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(listenFailure('API', options.host, options.port, 'TALLYMAN_PORT or --port', error))
    })
    server.listen({ host: options.host, port: options.port, backlog: 1024 }, resolve)
  })
  const { port } = server.address() as AddressInfo
  const shownHost = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${shownHost}:${port}`,
    stop: (limitMs) =>
      new Promise((resolve) => {
        isStopping = true
        const timer = setTimeout(() => {
          for (const socket of sockets) socket.destroy()
        }, limitMs)
        server.close(() => {
          clearTimeout(timer)
          resolve()
        })
        server.closeIdleConnections()
      }),
  }
}
