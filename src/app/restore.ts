import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { openDatabase } from '../database/database.ts'
import { importDatabase } from '../database/export.ts'
import { migrateDatabase, schemaOf } from '../database/migrations.ts'
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts'
import { describeUsageStore, importUsage } from '../store/export.ts'
import { openUsageStore } from '../store/usage-store.ts'
import { type Manifest, readManifest, sealFiles, syncPath, verifyFiles } from './backup-manifest.ts'
import { StartFailure, startFailureOf } from './start-failure.ts'

export interface RestoreOptions {
  /** What `tallyman backup` has written. */
  readonly backup: string
  /** The data directory that is made; not there yet, or empty. */
  readonly dataDirectory: string
  readonly signal: AbortSignal
  readonly onStep: (text: string) => void
}

/**
 * Makes a data directory from a backup. It is built beside its place and moved there when it is whole, so that a
 * restore that was cut off leaves nothing that could be started. @throws StartFailure that says what to do
 */
export async function restoreBackup(options: RestoreOptions): Promise<Manifest> {
  const { onStep, signal } = options
  const backup = resolve(options.backup)
  const target = resolve(options.dataDirectory)
  requireEmpty(target)
  const manifest = readManifest(backup)
  onStep('checksums')
  await verifyFiles(backup, manifest, () => signal.throwIfAborted())
  const draft = `${target}.restoring`
  rmSync(draft, { recursive: true, force: true }) // of a restore that was cut off
  try {
    mkdirSync(draft, { recursive: true, mode: 0o700 })
    await restoreUsage(options, backup, draft, manifest)
    await restoreDatabase(options, backup, draft, manifest)
    onStep('log')
    await restoreLog(backup, draft, manifest, signal)
    renameSync(draft, target)
    syncPath(target)
    return manifest
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    throw startFailureOf(error, target)
  }
}

function requireEmpty(target: string): void {
  if (!existsSync(target) || readdirSync(target).length === 0) {
    mkdirSync(dirname(target), { recursive: true })
    return
  }
  throw new StartFailure(
    `${target} is not empty, and a restore never writes over anything. Name a directory that is not there yet with --data, and move it to its place afterwards.`,
  )
}

async function restoreUsage(
  { signal, onStep }: RestoreOptions,
  backup: string,
  draft: string,
  { clickhouse, files, version }: Manifest,
): Promise<void> {
  const store = await openUsageStore({ kind: 'embedded', directory: join(draft, 'clickhouse') })
  try {
    requireSchema('usage store', clickhouse.schema, (await describeUsageStore(store)).schema, version)
    const prefix = 'clickhouse/'
    await importUsage({
      ...{ store, signal, onStep, expected: clickhouse.tables },
      directory: join(backup, 'clickhouse'),
      files: files.filter(({ path }) => path.startsWith(prefix)).map(({ path }) => path.slice(prefix.length)),
    })
  } finally {
    await store.close()
  }
}

async function restoreDatabase(
  { signal, onStep }: RestoreOptions,
  backup: string,
  draft: string,
  { postgres, version }: Manifest,
): Promise<void> {
  const database = await openDatabase({ kind: 'embedded', directory: join(draft, 'postgres') })
  try {
    await migrateDatabase(database)
    requireSchema('database', postgres.schema, await schemaOf(database), version)
    const directory = join(backup, 'postgres')
    await importDatabase({ database, directory, signal, onStep }, postgres)
  } finally {
    await database.stop()
  }
}

/** Copies the log and opens it, which proves that it reaches as far as the backup says. */
async function restoreLog(
  backup: string,
  draft: string,
  { files, log: expected }: Manifest,
  signal: AbortSignal,
): Promise<void> {
  for (const { path } of files.filter((file) => file.path.startsWith('log/'))) {
    signal.throwIfAborted()
    mkdirSync(dirname(join(draft, path)), { recursive: true, mode: 0o700 })
    copyFileSync(join(backup, path), join(draft, path))
  }
  await sealFiles(join(draft, 'log'), signal)
  const log = await openEmbeddedLog({ directory: join(draft, 'log') })
  try {
    for (const { topic, ends } of expected.topics) {
      const found = await log.endOffsets(topic)
      for (const { partition, offset } of ends) {
        if ((found[partition]?.offset ?? 0) >= offset) continue
        throw new StartFailure(
          `The restored log ends at ${found[partition]?.offset ?? 0} in ${topic} partition ${partition}, and the backup says ${offset}. Take another backup.`,
        )
      }
    }
  } finally {
    await log.close()
  }
}

type Schema = Manifest['postgres']['schema']

/** A backup is of one schema: whoever upgrades restores first and starts the new version then. */
function requireSchema(
  what: string,
  wanted: Schema,
  found: Manifest['postgres']['schema'] | readonly Schema[number][],
  version: string,
): void {
  const text = (schema: readonly Schema[number][]): string =>
    schema.map(({ name, checksum }) => `${name} ${checksum}`).join('\n')
  if (text(wanted) === text(found)) return
  throw new StartFailure(
    `The backup's ${what} has another schema than this version makes. Restore it with version ${version}, then upgrade.`,
  )
}
