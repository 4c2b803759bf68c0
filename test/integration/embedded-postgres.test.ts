import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Database, openDatabase } from '../../src/database/database.ts'
import type { DatabaseError } from '../../src/database/database-error.ts'
import { migrateDatabase } from '../../src/database/migrations.ts'

let root = ''
let opened: Database[] = []
let children: ChildProcess[] = []

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tallyman-pg-'))
  opened = []
  children = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const database of opened) await database.stop()
  rmSync(root, { recursive: true, force: true })
})

async function open(directory: string, onLost?: (error: DatabaseError) => void): Promise<Database> {
  const database = await openDatabase({
    kind: 'embedded',
    directory,
    ...(onLost === undefined ? {} : { onLost }),
  })
  opened.push(database)
  await migrateDatabase(database)
  return database
}

async function openInAnotherProcess(directory: string): Promise<ChildProcess> {
  const script = new URL('../support/database-process.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await once(child.stdout, 'data')
  return child
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

function postmasterPid(directory: string): number {
  return Number(readFileSync(join(directory, 'cluster', 'postmaster.pid'), 'utf8').split('\n')[0])
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** The shells between us and the server: the guard and its reader. */
function guardsOf(pid: number): number[] {
  const table = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number])
  const guard = table.find(([id]) => id === pid)?.[1] ?? 0
  const readers = table.filter(([id, parent]) => parent === guard && id !== pid).map(([id]) => id)
  return [guard, ...readers]
}

async function tenants(database: Database): Promise<string[]> {
  return (await database.db.selectFrom('tenants').select('id').execute()).map((row) => row.id)
}

describe('embedded PostgreSQL', () => {
  it('writes through to the disk and keeps its data over a restart', async () => {
    const directory = join(root, 'db')
    const first = await open(directory)
    const settings = await first.db
      .selectNoFrom((eb) => [
        eb.fn<string>('current_setting', [eb.val('fsync')]).as('fsync'),
        eb.fn<string>('current_setting', [eb.val('full_page_writes')]).as('pages'),
        eb.fn<string>('current_setting', [eb.val('synchronous_commit')]).as('commit'),
        eb.fn<string>('current_setting', [eb.val('listen_addresses')]).as('addresses'),
      ])
      .executeTakeFirstOrThrow()
    expect(settings).toEqual({ fsync: 'on', pages: 'on', commit: 'on', addresses: '' })
    await first.db
      .insertInto('tenants')
      .values({ id: 't', name: 'T', created_at: new Date(0) })
      .execute()
    const pid = postmasterPid(directory)
    await first.stop()
    expect(isRunning(pid)).toBe(false)
    expect(existsSync(join(directory, 'owner'))).toBe(false)
    expect(await tenants(await open(directory))).toEqual(['t'])
  })

  it('refuses a directory that a living process uses, in words that say which', async () => {
    const directory = join(root, 'db')
    await open(directory)
    await expect(open(directory)).rejects.toMatchObject({ code: 'inUse', message: /this process already/ })
    const elsewhere = join(root, 'other')
    const child = await openInAnotherProcess(elsewhere)
    await expect(open(elsewhere)).rejects.toMatchObject({
      code: 'inUse',
      message: expect.stringContaining(`process ${child.pid ?? 0}`) as string,
    })
  })

  it('ends the server when its process is killed, and loses nothing that was committed', async () => {
    const directory = join(root, 'db')
    const child = await openInAnotherProcess(directory)
    const pid = postmasterPid(directory)
    await killed(child)
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), { timeout: 10_000, interval: 10 })
    expect(await tenants(await open(directory))).toEqual(['committed'])
  })

  it('stops a server that outlived both its process and its guard before it starts another', async () => {
    const directory = join(root, 'db')
    const child = await openInAnotherProcess(directory)
    const pid = postmasterPid(directory)
    for (const guard of guardsOf(pid)) process.kill(guard, 'SIGKILL')
    await killed(child)
    expect(isRunning(pid)).toBe(true)
    expect(await tenants(await open(directory))).toEqual(['committed'])
    expect(isRunning(pid)).toBe(false)
  })

  it('tells when the server is lost, and recovers from the pid file that a killed server leaves', async () => {
    const directory = join(root, 'db')
    const told = Promise.withResolvers<DatabaseError>()
    const first = await open(directory, told.resolve)
    await first.db
      .insertInto('tenants')
      .values({ id: 't', name: 'T', created_at: new Date(0) })
      .execute()
    process.kill(postmasterPid(directory), 'SIGKILL')
    await expect(told.promise).resolves.toMatchObject({ code: 'lost' })
    await first.stop()
    expect(existsSync(join(directory, 'cluster', 'postmaster.pid'))).toBe(true)
    expect(await tenants(await open(directory))).toEqual(['t'])
  })

  it('works below a long path, and below a folder that only its owner can enter', async () => {
    const closed = join(root, 'closed')
    mkdirSync(closed)
    chmodSync(closed, 0o700)
    const directory = join(closed, 'a-rather-long-name-for-a-folder-'.repeat(6), 'db')
    const first = await open(directory)
    await first.db
      .insertInto('tenants')
      .values({ id: 't', name: 'T', created_at: new Date(0) })
      .execute()
    await first.stop()
    expect(await tenants(await open(directory))).toEqual(['t'])
  })

  it('says why a server does not start', async () => {
    const directory = join(root, 'db')
    await (await open(directory)).stop()
    rmSync(join(directory, 'cluster', 'global', 'pg_control'))
    await expect(open(directory)).rejects.toMatchObject({
      code: 'cannotStart',
      message: expect.stringContaining('pg_control') as string,
    })
    expect(existsSync(join(directory, 'owner'))).toBe(false)
  })

  it('says that nobody answers at an address', async () => {
    await expect(
      openDatabase({ kind: 'url', url: 'postgresql://nobody@127.0.0.1:1/none' }),
    ).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('127.0.0.1:1') as string,
    })
  })
})
