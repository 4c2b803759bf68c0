import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { kill } from 'node:process'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseError, errorCode } from './database-error.ts'
import { processStamp, programOf, worksIn } from './process-stamp.ts'

const POLL_MS = 15

/** What PostgreSQL writes about itself into its data directory. */
export interface PostmasterFile {
  readonly pid: number
  readonly socketDirectory: string
  readonly ready: boolean
}

/** Reads `postmaster.pid`: process number, data directory, start, port, socket folder, address, memory key, status. */
export function readPostmasterFile(cluster: string): PostmasterFile | null {
  try {
    const lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')
    return {
      pid: Number(lines[0]),
      socketDirectory: lines[4] ?? '',
      ready: (lines[7] ?? '').trim() === 'ready',
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** True when the process of the file runs and is a server on this very directory, not a later process of that number. */
export function isServing(cluster: string, file: PostmasterFile): boolean {
  if (!(file.pid > 0) || processStamp(file.pid) === null) return false
  return worksIn(file.pid, cluster) ?? programOf(file.pid).includes('postgres')
}

/** Ends a server: fast, then at once, then hard. Resolves when it has gone. */
export async function endServer(pid: number, patienceMs: number): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    signalIfAlive(pid, signal)
    const until = Date.now() + patienceMs
    while (Date.now() < until) {
      if (processStamp(pid) === null) return
      await delay(POLL_MS)
    }
  }
  throw new DatabaseError('cannotStart', `The PostgreSQL process ${pid} does not end, not even when killed.`)
}

function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    kill(pid, signal)
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error
  }
}

/**
 * Runs the server and ends it when descriptor 4 closes: when we stop it, and when we are killed. The reader gets
 * no other chance to learn of our end; a plain child would go on running.
 */
const GUARD = `
"$@" 4<&- &
server=$!
{ read -r line <&4; kill -INT "$server"; } &
reader=$!
wait "$server"
code=$?
kill "$reader" 2>/dev/null
exit "$code"
`

export interface GuardedServer {
  /** Null while it runs. */
  exitCode(): number | null
  /** Resolves when the server has ended, for whatever reason. */
  readonly ended: Promise<void>
  /** Asks for a fast shutdown, as our own end would. */
  letGo(): void
}

export interface SpawnOptions {
  readonly ids: { readonly uid: number; readonly gid: number } | null
  readonly command: readonly string[]
  readonly logDescriptor: number
  /** Becomes descriptor 3 of the server; null closes it. */
  readonly directoryDescriptor: number | null
}

/** In a session of its own: an interrupt from the terminal reaches us, and we stop the server when we are through with it. */
export function spawnGuarded(options: SpawnOptions): GuardedServer {
  const child: ChildProcess = spawn('/bin/sh', ['-c', GUARD, 'tallyman-postgres', ...options.command], {
    ...(options.ids ?? {}),
    cwd: '/',
    detached: true,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    stdio: [
      'ignore',
      options.logDescriptor,
      options.logDescriptor,
      options.directoryDescriptor ?? 'ignore',
      'pipe',
    ],
  })
  const line = child.stdio[4] as Writable
  line.on('error', () => undefined) // The server may be gone before we let go; its end is told by `ended`.
  let exitCode: number | null = null
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => {
      exitCode = 127
      resolve()
    })
    child.once('exit', (code) => {
      exitCode = code ?? 128
      line.destroy()
      resolve()
    })
  })
  return { exitCode: () => exitCode, ended, letGo: () => void line.destroy() }
}
