import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FaultServer, problem, startFaultServer, TAKE } from './support/fault-server.ts'

let server: FaultServer
beforeEach(async () => {
  server = await startFaultServer()
})
afterEach(() => server.stop())

/** Runs a service that records three events, two of them bad, with these options beside the needed ones. */
async function runService(options: string): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const program = `
    import { createTallyman } from './client/src/index.ts'
    process.on('uncaughtException', (error) => console.log('uncaught:', error.message))
    const tallyman = createTallyman({ url: '${server.url}', apiKey: 'key', source: '/service', ${options} })
    const usage = { type: 'job', subject: 'acme' }
    for (const n of [0.1 + 0.2, 0.1 + 0.7, 1]) tallyman.record({ ...usage, id: String(n), data: { n } })
    console.log((await tallyman.close()).left, 'left')`
  return promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program])
}

describe('what the client tells', () => {
  it('goes to the console without callbacks: the first of each kind', async () => {
    server.behave = (n) => (n < 2 ? problem(503, 'overloaded', { 'retry-after': '0' }) : TAKE)
    const { stdout, stderr } = await runService('retryBaseMs: 1')
    expect(stdout).toBe('0 left\n')
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/^tallyman: event 0.30000000000000004 was not taken: unsafeNumber: /),
      expect.stringMatching(/^tallyman: delivery is held up: unavailable: Because overloaded. /),
    ])
  })

  it('to a callback that throws is an uncaught exception and holds up no event', async () => {
    const { stdout } = await runService("onRejected: ({ id }) => { throw new Error('callback ' + id) }")
    expect(stdout.trim().split('\n')).toEqual([
      'uncaught: callback 0.30000000000000004',
      'uncaught: callback 0.7999999999999999',
      '0 left',
    ])
    expect([...server.stored.keys()]).toEqual(['/service 1'])
  })
})
