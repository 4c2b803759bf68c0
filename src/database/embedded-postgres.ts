import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseError } from './database-error.ts'
import { takeOwnership } from './directory-owner.ts'
import { initializeCluster, openEntrance } from './cluster.ts'
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts'
import { endServer, type GuardedServer, isServing, readPostmasterFile, spawnGuarded } from './postmaster.ts'
import { canEnter, type ServerIdentity, serverIdentity } from './server-identity.ts'

export interface EmbeddedPostgres {
  /** Where the server's unix socket lies; nobody but this user and the server's can enter. */
  readonly socketDirectory: string
  /** Resolves when the server has ended although `stop` was not called; stays open otherwise. */
  readonly lost: Promise<DatabaseError>
  /** A fast shutdown: open transactions are rolled back, everything committed is on disk. Never leaves a process. */
  stop(): Promise<void>
}

const START_MS_MAX = 300_000 // recovery after a crash replays at most max_wal_size
const STOP_MS_MAX = 10_000
const POLL_MS = 15
const LOG_BYTES_MAX = 10_000_000
const SOCKET_PREFIX = 'tm-pg-'

/** Everything that a power cut must not lose is on: fsync, full_page_writes and synchronous_commit keep their defaults. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '60',
  shared_buffers: '64MB',
  max_wal_size: '256MB',
  io_method: 'sync', // three processes fewer; control-plane rates need no read-ahead
  log_min_messages: 'warning',
  timezone: 'UTC',
  log_timezone: 'UTC',
}

/**
 * Starts PostgreSQL on `directory` (made and initialized where it is new), stops what a killed process of ours
 * left running there, and waits until the server answers. @throws DatabaseError `inUse` or `cannotStart`
 */
export async function startEmbeddedPostgres(directory: string): Promise<EmbeddedPostgres> {
  mkdirSync(directory, { recursive: true })
  const home = realpathSync(directory)
  const ownership = takeOwnership(home)
  try {
    const identity = serverIdentity()
    const binaries = findPostgresBinaries(identity)
    const cluster = join(home, 'cluster')
    await endLeftover(cluster)
    if (!existsSync(cluster)) await initializeCluster(identity, binaries, home, cluster)
    return await launch(identity, binaries, home, cluster, () => ownership.release())
  } catch (error) {
    ownership.release()
    throw error
  }
}

/** The owner of the directory is dead, for we have taken its place: a server that still runs here is nobody's. */
async function endLeftover(cluster: string): Promise<void> {
  const file = readPostmasterFile(cluster)
  if (file === null) return
  if (isServing(cluster, file)) await endServer(file.pid, STOP_MS_MAX)
  // PostgreSQL would take an unrelated process that got the number for its predecessor.
  rmSync(join(cluster, 'postmaster.pid'), { force: true })
  removeSocketDirectory(file.socketDirectory)
}

function removeSocketDirectory(path: string): void {
  if (basename(path).startsWith(SOCKET_PREFIX)) rmSync(path, { recursive: true, force: true })
}

/** A unix socket's path has at most 107 bytes, wherever the data directory lies: the socket gets a short folder of its own. */
function makeSocketDirectory(identity: ServerIdentity): string {
  const base = [tmpdir(), '/tmp'].find(
    (folder) => folder.length <= 60 && existsSync(folder) && canEnter(identity, folder),
  )
  if (base === undefined) {
    throw new DatabaseError(
      'cannotStart',
      'There is no folder for temporary files with a short path that PostgreSQL can enter, and its socket needs one. Set TMPDIR.',
    )
  }
  const folder = mkdtempSync(join(base, SOCKET_PREFIX))
  if (identity.ids !== null) chownSync(folder, identity.ids.uid, identity.ids.gid)
  chmodSync(folder, 0o700)
  return folder
}

function openLog(home: string): { readonly path: string; readonly descriptor: number } {
  const path = join(home, 'postgres.log')
  if (existsSync(path) && statSync(path).size > LOG_BYTES_MAX) renameSync(path, `${path}.1`)
  return { path, descriptor: openSync(path, 'a', 0o600) }
}

async function launch(
  identity: ServerIdentity,
  binaries: PostgresBinaries,
  home: string,
  cluster: string,
  release: () => void,
): Promise<EmbeddedPostgres> {
  const socketDirectory = makeSocketDirectory(identity)
  const entrance = openEntrance(identity, cluster)
  const log = openLog(home)
  const logStart = statSync(log.path).size
  const settings = { ...SETTINGS, unix_socket_directories: socketDirectory }
  const server = spawnGuarded({
    ids: identity.ids,
    command: [
      ...[binaries.postgres, '-D', entrance.path],
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    logDescriptor: log.descriptor,
    directoryDescriptor: entrance.descriptor,
  })
  closeSync(log.descriptor)
  entrance.close()
  const cleanUp = (): void => {
    rmSync(socketDirectory, { recursive: true, force: true })
    release()
  }
  try {
    await untilReady(server, cluster, socketDirectory)
  } catch (error) {
    await end(server, cluster)
    cleanUp()
    if (error instanceof DatabaseError) throw error
    throw new DatabaseError(
      'cannotStart',
      `PostgreSQL does not start on ${home}: ${tellWhy(log.path, logStart)}`,
      error,
    )
  }
  let stopping: Promise<void> | null = null
  const stop = async (): Promise<void> => {
    await end(server, cluster)
    cleanUp()
  }
  return {
    socketDirectory,
    lost: new Promise((resolve) => {
      void server.ended.then(() => {
        if (stopping !== null) return
        const why = `The embedded PostgreSQL has ended (exit code ${server.exitCode() ?? 'unknown'}): ${tellWhy(log.path, logStart)}`
        resolve(new DatabaseError('lost', why))
      })
    }),
    stop: () => (stopping ??= stop()),
  }
}

async function untilReady(server: GuardedServer, cluster: string, socketDirectory: string): Promise<void> {
  const until = Date.now() + START_MS_MAX
  while (Date.now() < until) {
    if (server.exitCode() !== null) throw new Error(`exit code ${server.exitCode() ?? ''}`)
    const file = readPostmasterFile(cluster)
    if (file?.ready === true && file.socketDirectory === socketDirectory) return
    await delay(POLL_MS)
  }
  throw new Error(`not ready after ${START_MS_MAX / 1000} seconds`)
}

async function end(server: GuardedServer, cluster: string): Promise<void> {
  const file = readPostmasterFile(cluster)
  server.letGo()
  const inTime = await Promise.race([
    server.ended.then(() => true),
    delay(STOP_MS_MAX, false, { ref: false }),
  ])
  if (!inTime && file !== null && isServing(cluster, file)) await endServer(file.pid, STOP_MS_MAX)
  await server.ended
}

/** The server's own last words, without the times and process numbers in front of them. */
function tellWhy(logPath: string, from: number): string {
  const lines = readFileSync(logPath).subarray(from).toString('utf8').trim().split('\n')
  const telling = lines.filter((line) => /FATAL|PANIC|ERROR|HINT|could not|cannot/.test(line)).slice(-3)
  const words = (telling.length > 0 ? telling : lines.slice(-2)).map((line) =>
    line.replace(/^\S+ \S+ UTC \[\d+\] /, ''),
  )
  return words.join(' ') || `it said nothing in ${logPath}`
}
