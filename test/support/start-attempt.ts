import { spawn } from 'node:child_process'
import { cleanEnvironment } from './server.ts'

export interface AttemptResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface AttemptOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Runs as another user, where this one is root and may do anything. */
  readonly uid?: number
}

/** `tallyman start` that is expected to fail; killed, with exit code null, when it runs on. */
export function attemptStart(
  args: readonly string[],
  { env = {}, uid }: AttemptOptions = {},
): Promise<AttemptResult> {
  const child = spawn(process.execPath, ['bin/tallyman.ts', 'start', ...args], {
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr }))
  })
}
