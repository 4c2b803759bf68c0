import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { exportDatabase } from '../database/export.ts'
import { schemaOf } from '../database/migrations.ts'
import { isEmbeddedLog } from '../log/embedded/embedded-log.ts'
import { describeUsageStore, exportUsage } from '../store/export.ts'
import type { Clock } from '../time/clock.ts'
import { type Manifest, sealFiles, writeManifest } from './backup-manifest.ts'
import type { Engines } from './engines.ts'
import { StartFailure } from './start-failure.ts'

export interface BackupOptions {
  readonly engines: Engines
  /** Made; its parent exists. */
  readonly directory: string
  readonly version: string
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onStep: (text: string) => void
}

/** Servers have tools of their own, which docs/backup.md puts in order. */
export function isEmbedded({ log, store, database }: Engines): boolean {
  return log.kind === 'embedded' && store.kind === 'embedded' && database.kind === 'embedded'
}

/**
 * Copies the three embedded engines while they are written. The order makes it one state: usage first, then the
 * database, the log last. Whatever the journal, an invoice's cut or a ledger refers to is then on the copied log, and
 * what the log has beyond is read from it after the restore, as after a crash.
 * @throws StartFailure when an engine is a server; the signal's reason when it was aborted
 */
export async function takeBackup(options: BackupOptions): Promise<Manifest> {
  const { engines, directory, version, clock, signal, onStep } = options
  const { log, store, database } = engines
  if (!isEmbedded(engines) || !isEmbeddedLog(log)) {
    throw new StartFailure(
      'The engines are servers, so their own tools back them up: docs/backup.md says which and in what order.',
    )
  }
  const startedAt = new Date(clock.now()).toISOString()
  for (const folder of ['', 'clickhouse', 'postgres', 'log']) {
    mkdirSync(join(directory, folder), { mode: 0o700 })
  }
  const common = { signal, onStep }
  const tables = await exportUsage({ ...common, store, directory: join(directory, 'clickhouse') })
  const exported = await exportDatabase({ ...common, database, directory: join(directory, 'postgres') })
  onStep('log')
  const topics = await log.copyTo(join(directory, 'log'))
  signal.throwIfAborted()
  onStep('checksums')
  const manifest: Manifest = {
    format: 1,
    version,
    startedAt,
    finishedAt: new Date(clock.now()).toISOString(),
    log: { topics: topics.map(({ topic, ends }) => ({ topic, ends: [...ends] })) },
    clickhouse: { ...(await describe(store)), tables: [...tables] },
    postgres: {
      version: await database.version(),
      schema: [...(await schemaOf(database))],
      tables: [...exported.tables],
      sequences: [...exported.sequences],
    },
    files: [...(await sealFiles(directory, signal))],
  }
  writeManifest(directory, manifest)
  return manifest
}

async function describe(store: Engines['store']): Promise<{
  version: string
  schema: { name: string; checksum: string }[]
}> {
  const { version, schema } = await describeUsageStore(store)
  return { version, schema: [...schema] }
}
