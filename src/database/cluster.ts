import { spawn } from 'node:child_process'
import { chownSync, closeSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { platform } from 'node:process'
import { DatabaseError } from './database-error.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { canEnter, type ServerIdentity } from './server-identity.ts'

/** The superuser of an embedded cluster, and the only one. */
export const EMBEDDED_USER = 'tallyman'

/**
 * The path by which the server's user reaches a folder of its own. Below a folder that it cannot enter (a checkout
 * in /root), that is an open descriptor: descriptors need no way through the folders above.
 */
export interface Entrance {
  readonly path: string
  readonly descriptor: number | null
  close(): void
}

export function openEntrance(identity: ServerIdentity, folder: string): Entrance {
  if (canEnter(identity, folder)) return { path: folder, descriptor: null, close: () => undefined }
  if (platform !== 'linux') {
    throw new DatabaseError(
      'cannotStart',
      `PostgreSQL refuses to run as root, and the user it runs as cannot enter ${dirname(folder)}. Run Tallyman as another user, or choose another data directory.`,
    )
  }
  const descriptor = openSync(folder, 'r')
  return { path: '/proc/self/fd/3', descriptor, close: () => closeSync(descriptor) }
}

/** Initializes beside and renames when done, so that a cluster is whole or not there. */
export async function initializeCluster(
  identity: ServerIdentity,
  binaries: PostgresBinaries,
  home: string,
  cluster: string,
): Promise<void> {
  const draft = join(home, 'cluster.initializing')
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft, { mode: 0o700 })
  if (identity.ids !== null) chownSync(draft, identity.ids.uid, identity.ids.gid)
  const entrance = openEntrance(identity, draft)
  try {
    const [code, output] = await runToEnd(identity, entrance.descriptor, binaries.initdb, [
      ...['-D', entrance.path, '-U', EMBEDDED_USER, '-A', 'trust', '-E', 'UTF8'],
      ...['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions'],
    ])
    if (code !== 0) {
      throw new DatabaseError(
        'cannotStart',
        `PostgreSQL could not initialize ${home}: ${output.trim().split('\n').slice(-3).join(' ')}`,
      )
    }
  } finally {
    entrance.close()
  }
  renameSync(draft, cluster)
}

function runToEnd(
  identity: ServerIdentity,
  descriptor: number | null,
  command: string,
  args: readonly string[],
): Promise<readonly [number, string]> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...(identity.ids ?? {}),
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'pipe', descriptor ?? 'ignore'],
    })
    let output = ''
    child.stdout?.on('data', (text: Buffer) => (output += text.toString()))
    child.stderr?.on('data', (text: Buffer) => (output += text.toString()))
    child.once('error', (error) =>
      reject(new DatabaseError('cannotStart', `${command} cannot be run: ${error.message}`, error)),
    )
    child.once('close', (code) => resolve([code ?? 128, output]))
  })
}
