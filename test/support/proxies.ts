import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { envoyBinary } from './envoy.ts'

/** Where the configurations of deploy/gate expect the others; a test puts its own ports in. */
export interface Behind {
  /** `127.0.0.1:8888` of the files. */
  readonly httpPort: number
  /** `127.0.0.1:8890` of the files. */
  readonly grpcPort: number
  /** `127.0.0.1:3000` of the files. */
  readonly servicePort: number
}

export interface Proxy {
  readonly url: string
  /** What it has written so far. */
  said(): string
  stop(): Promise<void>
}

export const PROXIES = ['nginx', 'caddy', 'envoy-http', 'envoy-grpc', 'envoy-ratelimit'] as const
export type ProxyName = (typeof PROXIES)[number]

const deploy = join(import.meta.dirname, '../../deploy/gate')

/** The real proxy with the configuration that users are given. @throws Error that names what to install */
export async function startProxy(name: ProxyName, behind: Behind): Promise<Proxy> {
  const directory = mkdtempSync(join(tmpdir(), `tallyman-${name}-`))
  const port = await freePort()
  const { command, args } = await configured(name, directory, port, behind)
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOME: directory },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const die = (): void => void child.kill('SIGKILL')
  process.once('exit', die)
  const url = `http://127.0.0.1:${port}`
  await answering(name, child, url, () => output)
  return {
    url,
    said: () => output,
    async stop() {
      child.kill('SIGTERM')
      await exited
      process.off('exit', die)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

interface Command {
  readonly command: string
  readonly args: readonly string[]
}

async function configured(
  name: ProxyName,
  directory: string,
  port: number,
  behind: Behind,
): Promise<Command> {
  const write = (file: string, text: string): string => {
    const path = join(directory, file)
    writeFileSync(path, text)
    return path
  }
  const given = (file: string): string => withPorts(readFileSync(join(deploy, file), 'utf8'), port, behind)
  switch (name) {
    case 'nginx': {
      const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (kind) => `${kind}_temp_path ${directory}/${kind};`,
      )
      const config = write(
        'nginx.conf',
        `daemon off; master_process off; pid ${directory}/nginx.pid; error_log stderr;
         events { worker_connections 64; }
         http { access_log off; ${paths.join(' ')} ${given('nginx.conf')} }`,
      )
      return { command: 'nginx', args: ['-p', directory, '-c', config] }
    }
    case 'caddy': {
      const config = write('Caddyfile', `{\n\tadmin off\n}\n${given('Caddyfile')}`)
      return { command: 'caddy', args: ['run', '--adapter', 'caddyfile', '--config', config] }
    }
    case 'envoy-http':
    case 'envoy-grpc':
    case 'envoy-ratelimit': {
      const config = write('envoy.yaml', given(`${name}.yaml`))
      const quiet = ['--log-level', 'warning', '--use-dynamic-base-id', '--concurrency', '1']
      return { command: await envoyBinary(), args: ['-c', config, ...quiet] }
    }
  }
}

function withPorts(text: string, port: number, { httpPort, grpcPort, servicePort }: Behind): string {
  const ports = new Map([
    ['8080', port],
    ['8888', httpPort],
    ['8890', grpcPort],
    ['3000', servicePort],
  ])
  return text.replaceAll(
    /(127\.0\.0\.1(?::|, port_value: ))(8080|8888|8890|3000)\b/g,
    (_, before: string, known: string) => `${before}${String(ports.get(known))}`,
  )
}

/** Resolves when something answers at the URL. */
async function answering(
  name: ProxyName,
  child: ChildProcess,
  url: string,
  said: () => string,
): Promise<void> {
  const ended = Promise.withResolvers<never>()
  child.once('error', () => {
    ended.reject(new Error(`${name} is not there: apt-get install nginx-light caddy`))
  })
  child.once('exit', (code) => ended.reject(new Error(`${name} ended with ${String(code)}:\n${said()}`)))
  ended.promise.catch(() => undefined)
  const deadlineMs = performance.now() + 20_000
  for (;;) {
    const isThere = await Promise.race([
      fetch(url).then(
        () => true,
        () => false,
      ),
      ended.promise,
    ])
    if (isThere) return
    if (performance.now() > deadlineMs) throw new Error(`${name} does not answer:\n${said()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
