import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from './kafka-node.ts'

/** ClickHouse behind HTTP, for tests where several processes share one. What dies and comes back has the same port and data. */
export interface ClickHouseServer {
  readonly url: string
  kill9(): Promise<void>
  /** After `kill9`, or by itself: killed first. Resolves when it answers. */
  restart(): Promise<void>
  /** The process stands still, its connections stay. */
  freeze(): void
  thaw(): void
  stop(): Promise<void>
}

const PROCESS = join(import.meta.dirname, 'clickhouse-server-process.ts')

/** The engine of chdb in a process of its own, with the HTTP protocol before it. */
export async function startClickHouseServer(): Promise<ClickHouseServer> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-clickhouse-'))
  const port = String((await freePorts(1))[0])
  let child: ChildProcess | null = null
  const start = async (): Promise<void> => {
    child = await launch(directory, port)
  }
  const kill9 = async (): Promise<void> => {
    const ending = child
    child = null
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return
    const exited = new Promise<void>((resolve) => ending.once('exit', () => resolve()))
    ending.kill('SIGKILL')
    await exited
  }
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  try {
    await start()
  } catch (error) {
    remove()
    throw error
  }
  return {
    url: `http://127.0.0.1:${port}`,
    kill9,
    async restart() {
      await kill9()
      await start()
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async stop() {
      await kill9()
      remove()
    },
  }
}

function launch(directory: string, port: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [PROCESS, join(directory, 'data'), port], {
    // As many threads as sessions, or statements that run would hold up those that wait to.
    env: { ...process.env, UV_THREADPOOL_SIZE: '12', TMPDIR: directory },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const die = (): void => void child.kill('SIGKILL')
  process.once('exit', die)
  child.once('exit', () => process.off('exit', die))
  let output = ''
  return new Promise((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('ready')) resolve(child)
    })
    child.once('exit', (code) => reject(new Error(`ClickHouse ended with ${String(code)}:\n${output}`)))
  })
}
