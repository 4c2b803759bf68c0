import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type FaultServer, problem, startFaultServer, TAKE } from '../support/fault-server.ts'

const WRITER = 'client/test/support/spool-writer.ts'
const KILLS = 4
const TENS_PER_KILL = 30

let server: FaultServer
let directory: string
let spool: string
/** The ids that `record` has answered with, one a line. */
let ids: string
let child: ChildProcess | null = null
beforeEach(async () => {
  server = await startFaultServer()
  directory = mkdtempSync(join(tmpdir(), 'tallyman-kill-'))
  spool = join(directory, 'spool')
  ids = join(directory, 'ids')
})
afterEach(async () => {
  child?.kill('SIGKILL')
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** Runs a service until it has recorded some events, and kills it. */
async function recordUntilKilled(): Promise<void> {
  const service = spawn(process.execPath, [WRITER, server.url, spool, 'record', ids], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child = service
  let output = ''
  service.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.split('\n').length > TENS_PER_KILL) service.kill('SIGKILL')
  })
  await new Promise((resolve) => service.once('close', resolve))
  expect(service.signalCode).toBe('SIGKILL')
}

it('C4: what was recorded before a kill -9 is sent by the next process, with the same ids', async () => {
  // Half of the requests fail in one way or another, so that every kill leaves something behind.
  server.behave = (n) =>
    n % 4 === 1 ? { kind: 'takeAndDrop' } : n % 4 === 3 ? problem(503, 'overloaded') : TAKE
  for (let kill = 0; kill < KILLS; kill++) await recordUntilKilled()
  const recorded = readFileSync(ids, 'utf8').trim().split('\n')
  expect(new Set(recorded).size).toBe(recorded.length)
  expect(recorded.length).toBeGreaterThanOrEqual(KILLS * TENS_PER_KILL * 10)
  server.behave = () => TAKE
  const { stdout } = await promisify(execFile)(process.execPath, [WRITER, server.url, spool, 'drain'])
  const { left, stats } = JSON.parse(stdout) as { left: number; stats: { recovered: number } }
  expect(left).toBe(0)
  expect(stats.recovered).toBeGreaterThan(0)
  expect(recorded.filter((id) => !server.stored.has(`/service ${id}`))).toEqual([])
  expect([...server.stored.values()].every((spellings) => spellings.size === 1)).toBe(true)
  expect(readdirSync(spool).filter((name) => name.endsWith('.segment'))).toEqual([])
})
