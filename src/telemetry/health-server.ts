import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'

/** One condition of being ready: null when it holds, else what is wrong. */
export interface HealthCheck {
  readonly name: string
  readonly probe: () => string | null
}

export interface HealthServer {
  readonly port: number
  readonly url: string
  /** From now on /readyz answers 503, so that balancers send nothing more. */
  startDraining(): void
  started(): void
  stop(): Promise<void>
}

export interface HealthServerOptions {
  readonly host: string
  readonly port: number
  readonly registry: Registry
  readonly checks: readonly HealthCheck[]
}

/**
 * `/metrics`, `/livez` (the loop turns), `/readyz` (everything the roles need is there and nothing is draining;
 * `?verbose` lists the checks) and `/startupz`, on a port of their own.
 * Rejects with the socket's error (`EADDRINUSE`, `EACCES`) when it cannot listen.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const state = { draining: false, started: false }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      text(response, 405, 'GET only\n')
      return
    }
    switch (url.pathname) {
      case '/metrics':
        void metrics(response)
        break
      case '/livez':
        text(response, 200, 'ok\n')
        break
      case '/startupz':
        text(response, state.started ? 200 : 503, state.started ? 'ok\n' : 'starting\n')
        break
      case '/readyz':
        readiness(response, url.searchParams.has('verbose'))
        break
      default:
        text(response, 404, 'There are /metrics, /livez, /readyz and /startupz.\n')
    }
  })
  const metrics = async (response: ServerResponse): Promise<void> => {
    try {
      const body = await options.registry.metrics()
      response.writeHead(200, { 'content-type': options.registry.contentType })
      response.end(body)
    } catch (error) {
      text(response, 500, `metrics could not be collected: ${String(error)}\n`)
    }
  }
  const readiness = (response: ServerResponse, verbose: boolean): void => {
    const results = [
      { name: 'started', fault: state.started ? null : 'still starting' },
      { name: 'notDraining', fault: state.draining ? 'shutting down' : null },
      ...options.checks.map((check) => ({ name: check.name, fault: check.probe() })),
    ]
    const failed = results.filter((result) => result.fault !== null)
    const shown = verbose ? results : failed
    const lines = shown.map(
      (result) =>
        `${result.fault === null ? 'ok  ' : 'FAIL'} ${result.name}${result.fault === null ? '' : `: ${result.fault}`}\n`,
    )
    text(
      response,
      failed.length === 0 ? 200 : 503,
      (failed.length === 0 ? 'ready\n' : 'not ready\n') + lines.join(''),
    )
  }
  await listen(server, options.host, options.port)
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://${options.host}:${port}`,
    startDraining: () => {
      state.draining = true
    },
    started: () => {
      state.started = true
    },
    stop: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)))
        server.closeAllConnections()
      }),
  }
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(body)
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
