import { spawn } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FaultServer, startFaultServer } from './support/fault-server.ts'

let server: FaultServer
beforeEach(async () => {
  server = await startFaultServer()
})
afterEach(() => server.stop())

interface End {
  readonly output: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

async function runService(
  mode: string,
  onReady: (kill: (signal: NodeJS.Signals) => void) => void,
): Promise<End> {
  const child = spawn(process.execPath, ['client/test/support/exit-service.ts', server.url, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (text.includes('ready')) onReady((signal) => child.kill(signal))
  })
  await new Promise((resolve) => child.once('close', resolve))
  return { output, code: child.exitCode, signal: child.signalCode }
}

describe('closeOnExit', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: sends what is there, then ends by the signal',
    async (signal) => {
      const end = await runService('serve', (kill) => {
        kill(signal)
      })
      expect(end).toEqual({ output: 'ready\nclosed, 0 left\n', code: null, signal })
      expect([...server.stored.keys()]).toEqual(['/service last'])
    },
  )

  it('closes when the process has nothing else to do', async () => {
    const end = await runService('idle', () => undefined)
    expect(end).toEqual({ output: '0\nclosed, 0 left\n', code: 0, signal: null })
    expect(server.stored.size).toBe(1)
  })
})
