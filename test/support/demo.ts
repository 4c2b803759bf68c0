import { spawn } from 'node:child_process'
import { cleanEnvironment } from './server.ts'

export interface DemoResult {
  readonly events: { readonly sent: number; readonly accepted: number; readonly duplicates: number }
  readonly quota: { readonly suspendedAt: string | null; readonly keyStatus: string }
  readonly invoice: {
    readonly total: string
    readonly periodStart: string
    readonly periodEnd: string
    readonly lines: readonly { readonly price: string; readonly quantity: string; readonly amount: string }[]
  }
  readonly reconcile: { readonly ok: boolean; readonly checks: readonly unknown[] }
}

/** Runs `tallyman demo --json` in a process of its own. @throws when it exits other than 0 */
export function runDemo(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<DemoResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['bin/tallyman.ts', 'demo', '--json', ...args], {
      env: cleanEnvironment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    child.once('exit', (code) => {
      if (code === 0) resolve(JSON.parse(output) as DemoResult)
      else reject(new Error(`demo exited with ${String(code)}\n${output}\n${errors}`))
    })
  })
}
