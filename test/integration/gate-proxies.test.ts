import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createSocketServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createForwardAuth } from '../../src/provision/forward-auth.ts'
import { eventually } from '../support/eventually.ts'
import { aQuota } from '../support/gate.ts'
import { type Guarding, openGuarding } from '../support/guarding.ts'
import { type Leasing, openLeasing } from '../support/leasing.ts'

const snippets = join(import.meta.dirname, '../../client/gate')

async function listen(listener: RequestListener): Promise<{ server: Server; port: number }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, port: (server.address() as AddressInfo).port }
}

async function freePort(): Promise<number> {
  const server = createSocketServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

interface Proxy {
  readonly name: string
  readonly command: (directory: string, config: string) => readonly [string, ...string[]]
  /** The shipped snippet as a whole configuration, with the ports of this run. */
  readonly config: (snippet: string, directory: string) => string
  readonly file: string
}

const PROXIES: readonly Proxy[] = [
  {
    name: 'nginx auth_request',
    file: 'nginx.conf',
    config: (snippet, directory) =>
      `daemon off; master_process off; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
       events { worker_connections 64; }
       http { access_log off; client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy;
              fastcgi_temp_path ${directory}/fastcgi; uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
              ${snippet} }`,
    command: (directory, config) => ['nginx', '-p', directory, '-c', config],
  },
  {
    name: 'Caddy forward_auth',
    file: 'Caddyfile',
    config: (snippet) => `{\n\tadmin off\n\tauto_https off\n}\n${snippet}`,
    command: (_, config) => ['caddy', 'run', '--adapter', 'caddyfile', '--config', config],
  },
]

describe.each(PROXIES)('$name with the real server', (proxy) => {
  let leasing: Leasing
  let guarding: Guarding
  let child: ChildProcess
  let sidecar: Server
  let service: Server
  let url: string
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-proxy-'))
  const seen: (string | string[] | undefined)[] = []

  beforeAll(async () => {
    leasing = openLeasing()
    guarding = await openGuarding(leasing)
    const auth = createForwardAuth({ gate: guarding.local, trustForwardedFor: true })
    const [gate, origin, port] = await Promise.all([
      listen((request, response) => void getRequestListener(auth)(request, response)),
      listen((request, response) => {
        seen.push(request.headers['x-gate-customer'])
        response.end('served')
      }),
      freePort(),
    ])
    sidecar = gate.server
    service = origin.server
    const snippet = readFileSync(join(snippets, proxy.file), 'utf8')
      .replaceAll('127.0.0.1:8889', `127.0.0.1:${gate.port}`)
      .replaceAll('127.0.0.1:3000', `127.0.0.1:${origin.port}`)
      .replaceAll(':8080', `:${port}`)
      .replaceAll('permission=chat.write', 'permission=chat.write&cost.calls=5')
    const config = join(directory, proxy.file)
    writeFileSync(config, proxy.config(snippet, directory))
    const [command, ...args] = proxy.command(directory, config)
    child = spawn(command, args, { stdio: 'ignore', env: { ...process.env, HOME: directory } })
    const failed = new Promise<never>((_, reject) => {
      child.once('error', () =>
        reject(new Error(`${command} is not there: apt-get install nginx-light caddy`)),
      )
    })
    url = `http://127.0.0.1:${port}/`
    await Promise.race([
      eventually(
        () =>
          fetch(url).then(
            () => true,
            () => false,
          ),
        Boolean,
        15_000,
      ),
      failed,
    ])
  })
  afterAll(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
    for (const server of [sidecar, service]) {
      server.closeAllConnections()
      server.close()
    }
    await leasing.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const call = async (key: string | null) => {
    const response = await fetch(url, { headers: key === null ? {} : { authorization: `Bearer ${key}` } })
    const { status, headers } = response
    return { status, headers, text: await response.text() }
  }

  it('401, 403, 429, 402 and 503 reach the client with their headers; who calls reaches the service', async () => {
    const missing = await call(null)
    expect([missing.status, missing.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="api"'])
    expect(JSON.parse(missing.text)).toMatchObject({ code: 'missingKey' })

    const unknown = await call('tm_live_garbled')
    expect([unknown.status, unknown.headers.get('www-authenticate')]).toEqual([
      401,
      'Bearer realm="api", error="invalid_token"',
    ])

    const other = await guarding.key({ scopes: ['chat.read'] })
    const forbidden = await call(other.key)
    expect([forbidden.status, forbidden.headers.get('content-type')]).toEqual([
      403,
      'application/problem+json',
    ])
    expect(JSON.parse(forbidden.text)).toMatchObject({ code: 'insufficientPermission' })

    const { key } = await guarding.key()
    seen.length = 0
    for (let i = 0; i < 2; i++) expect(await call(key)).toMatchObject({ status: 200, text: 'served' })
    // A caller cannot say itself who it is.
    expect(seen).toEqual(['acme', 'acme'])
    const spent = await call(key)
    expect([spent.status, spent.headers.get('retry-after')]).toEqual([429, '1339200'])
    expect(spent.headers.get('ratelimit')).toContain('"calls";r=0;t=1339200')
    expect(JSON.parse(spent.text)).toMatchObject({ code: 'quotaExceeded', 'violated-policies': ['calls'] })

    const { gate } = guarding
    const ladder = [{ at: '1', action: 'block' }] as const
    await gate.store.quotas.put(
      aQuota({ key: 'credits' as never, period: 'prepaid', limit: '1', ladder }),
      gate.now,
    )
    const prepaid = await guarding.key({ quotas: ['credits' as never] })
    gate.usage.push(['a', gate.now, 1n])
    await gate.quotas.evaluateAll()
    const broke = await call(prepaid.key)
    expect([broke.status, broke.headers.get('retry-after')]).toEqual([402, null])
    expect(JSON.parse(broke.text)).toMatchObject({ code: 'creditsExhausted' })

    sidecar.closeAllConnections()
    await new Promise<void>((resolve) => sidecar.close(() => resolve()))
    const away = await call(key)
    expect([away.status, away.headers.get('retry-after')]).toEqual([503, '2'])
    expect(JSON.parse(away.text)).toMatchObject({ code: 'unavailable' })
  })
})
