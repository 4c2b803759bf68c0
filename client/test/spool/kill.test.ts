import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type FaultServer, problem, startFaultServer, TAKE } from '../support/fault-server.ts'

const WRITER = 'client/test/support/spool-writer.ts'
const KILLS = 4
const IDS_PER_KILL = 300

let server: FaultServer
let directory: string
let child: ChildProcess | null = null
beforeEach(async () => {
  server = await startFaultServer()
  directory = mkdtempSync(join(tmpdir(), 'tallyman-kill-'))
})
afterEach(async () => {
  child?.kill('SIGKILL')
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** Runs a service until it has recorded some events, kills it, and returns the ids that `record` had answered with. */
async function recordUntilKilled(): Promise<readonly string[]> {
  const service = spawn(process.execPath, [WRITER, server.url, directory, 'record'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child = service
  let output = ''
  service.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.split('\n').length > IDS_PER_KILL) service.kill('SIGKILL')
  })
  await new Promise((resolve) => service.once('close', resolve))
  expect(service.signalCode).toBe('SIGKILL')
  return output.split('\n').slice(0, -1)
}

it('C4: what was recorded before a kill -9 is sent by the next process, with the same ids', async () => {
  // Half of the requests fail in one way or another, so that every kill leaves something behind.
  server.behave = (n) =>
    n % 4 === 1 ? { kind: 'takeAndDrop' } : n % 4 === 3 ? problem(503, 'overloaded') : TAKE
  const recorded: string[] = []
  for (let kill = 0; kill < KILLS; kill++) recorded.push(...(await recordUntilKilled()))
  expect(new Set(recorded).size).toBe(recorded.length)
  expect(recorded.length).toBeGreaterThanOrEqual(KILLS * IDS_PER_KILL)
  server.behave = () => TAKE
  const { stdout } = await promisify(execFile)(process.execPath, [WRITER, server.url, directory, 'drain'])
  const { left, stats } = JSON.parse(stdout) as { left: number; stats: { recovered: number } }
  expect(left).toBe(0)
  expect(stats.recovered).toBeGreaterThan(0)
  expect(recorded.filter((id) => !server.stored.has(`/service ${id}`))).toEqual([])
  expect([...server.stored.values()].every((spellings) => spellings.size === 1)).toBe(true)
  expect(readdirSync(directory).filter((name) => name.endsWith('.segment'))).toEqual([])
})
