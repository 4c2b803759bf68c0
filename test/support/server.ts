import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A running `tallyman start`, as a user would start it, in a process of its own. */
export interface ServerProcess {
  readonly apiUrl: string
  readonly metricsUrl: string
  /** Empty in roles without a control plane. */
  readonly adminKey: string
  readonly pid: number
  /** Resolves with the exit code when it has ended, by whatever; null after a signal. */
  readonly exited: Promise<number | null>
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL: nothing is drained. */
  kill9(): Promise<void>
  /** The process stands still, its connections stay: what a long pause of the machine looks like. */
  freeze(): void
  thaw(): void
  /** What it has written to standard error so far. */
  errors(): string
}

export interface ServerOptions {
  readonly dataDirectory: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
}

/** The environment of a child without what this run's own environment may set for Tallyman. */
export function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const own = /^(TALLYMAN_|KAFKA_|CLICKHOUSE_|DATABASE_URL)/
  const inherited = Object.entries(process.env).filter(([name]) => !own.test(name))
  return { ...Object.fromEntries(inherited), ...extra }
}

export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const child = spawn(
    process.execPath,
    [
      'bin/tallyman.ts',
      'start',
      '--json',
      '--data',
      options.dataDirectory,
      '--port',
      '0',
      '--metrics-port',
      '0',
      ...(options.args ?? []),
    ],
    { env: cleanEnvironment(options.env), stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const die = (): void => void child.kill('SIGKILL')
  process.once('exit', die)
  void exited.then(() => process.off('exit', die))
  const line = await firstLine(child, exited, () => errors)
  const { apiUrl, metricsUrl } = JSON.parse(line) as { readonly apiUrl: string; readonly metricsUrl: string }
  return {
    apiUrl,
    metricsUrl,
    adminKey: adminKeyIn(options.dataDirectory),
    pid: child.pid ?? 0,
    exited,
    stop: () => {
      child.kill('SIGTERM')
      return exited
    },
    kill9: async () => {
      child.kill('SIGKILL')
      await exited
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    errors: () => errors,
  }
}

function adminKeyIn(dataDirectory: string): string {
  const path = join(dataDirectory, 'admin.key')
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : ''
}

function firstLine(
  child: ChildProcess,
  exited: Promise<number | null>,
  errors: () => string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const end = output.indexOf('\n')
      if (end >= 0) resolve(output.slice(0, end))
    })
    void exited.then((code) => {
      reject(new Error(`the server ended with ${String(code)} before it was ready:\n${errors()}`))
    })
  })
}

/** Calls the API with JSON and returns status and body. */
export async function call(
  server: { readonly apiUrl: string; readonly adminKey: string },
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(server.apiUrl + path, {
    method,
    headers: {
      authorization: `Bearer ${server.adminKey}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) }
}
