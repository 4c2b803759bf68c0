import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { readAdminKey } from '../app/admin-key.ts'
import { describeConfig, loadConfig } from '../config.ts'
import type { CliDeps } from './deps.ts'
import { EXIT_FAILED } from './failure.ts'
import { runCli } from './program.ts'

/** After the command has ended, what still runs has this long to end by itself. */
const EXIT_LIMIT_MS = 5_000

const interrupt = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupt.signal.aborted) process.exit(EXIT_FAILED) // asked twice: at once
    interrupt.abort()
  })
}
// `tallyman … | head` closes our output early; that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly version: string
}

// Engines are imported by the commands that need them: a client command answers without loading them.
const deps: CliDeps = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  fetch: globalThis.fetch,
  now: () => performance.now(),
  newId: randomUUID,
  interrupted: interrupt.signal,
  temporaryDirectory: tmpdir(),
  loadConfig,
  describeConfig,
  readAdminKey,
  startSystem: async (config, options) => (await import('../app/system.ts')).startSystem(config, options),
  doctor: async (config) => (await import('../app/doctor.ts')).runDoctor(config),
  migrate: async (config) => (await import('../app/migrate.ts')).migrateUp(config),
  migrationStatus: async (config) => (await import('../app/migrate.ts')).migrationStatus(config),
  backupStopped: async (config, directory, progress) =>
    (await import('../app/backup-commands.ts')).backupStopped(config, directory, manifest.version, progress),
  verifyBackup: async (directory, progress) =>
    (await import('../app/backup-commands.ts')).verifyBackup(directory, progress),
  restore: async (backup, dataDirectory, progress) => {
    const { restoreBackup } = await import('../app/restore.ts')
    const { summaryOf } = await import('../app/backup-commands.ts')
    return summaryOf(await restoreBackup({ ...progress, backup, dataDirectory }))
  },
  runRate: async (streams) => (await import('./rate.ts')).runRate(streams),
}

process.exitCode = await runCli(process.argv.slice(2), deps, manifest.version)
setTimeout(() => process.exit(), EXIT_LIMIT_MS).unref()
