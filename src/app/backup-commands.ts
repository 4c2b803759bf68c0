import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { StoreError } from '../aggregate/ports.ts'
import type { Config } from '../config.ts'
import { openDatabase } from '../database/database.ts'
import { DatabaseError } from '../database/database-error.ts'
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts'
import { connectUsageStore } from '../store/usage-store.ts'
import { instantOf } from '../time/instant.ts'
import { LogError } from '../usage/event-log.ts'
import { takeBackup } from './backup.ts'
import { type Manifest, readManifest, syncPath, verifyFiles } from './backup-manifest.ts'
import { Closing } from './closing.ts'
import { StartFailure, startFailureOf } from './start-failure.ts'

export interface CopySummary {
  /** RFC 3339. */
  readonly startedAt: string
  readonly finishedAt: string
  readonly files: number
  readonly bytes: string
}

export interface CopyProgress {
  readonly signal: AbortSignal
  readonly onStep: (text: string) => void
}

/** An engine that waits for more than this while it closes has a fault of its own. */
const CLOSE_MS_MAX = 60_000

/**
 * Backs up a data directory that no process has. Null when one has it: only its server can copy it then. Nothing is
 * migrated, so that a backup can be taken before an upgrade. @throws StartFailure
 */
export async function backupStopped(
  config: Config,
  target: string,
  version: string,
  progress: CopyProgress,
): Promise<CopySummary | null> {
  const dataDirectory = resolve(config.dataDir)
  if (config.kafka.brokers !== null || config.clickhouse.url !== null || config.database.url !== null) {
    throw new StartFailure(
      'The engines are servers, so their own tools back them up: docs/backup.md says which and in what order.',
    )
  }
  for (const engine of ['log', 'clickhouse', 'postgres']) {
    if (existsSync(join(dataDirectory, engine))) continue
    throw new StartFailure(
      `${dataDirectory} is not the data directory of a Tallyman: it has no folder ${engine}. Name it with --data.`,
    )
  }
  const closing = new Closing(() => undefined) // the first fault is thrown
  const draft = `${resolve(target)}.partial`
  try {
    // The log first: its lock is the operating system's, and says at once whether a process has the directory.
    const log = await openEmbeddedLog({ directory: join(dataDirectory, 'log') })
    closing.add('log', () => log.close())
    const store = await connectUsageStore({ kind: 'embedded', directory: join(dataDirectory, 'clickhouse') })
    closing.add('usage store', () => store.close())
    const database = await openDatabase({ kind: 'embedded', directory: join(dataDirectory, 'postgres') })
    closing.add('database', () => database.stop())
    rmSync(draft, { recursive: true, force: true }) // of a backup that was cut off
    mkdirSync(dirname(draft), { recursive: true })
    const clock = { now: () => instantOf(Date.now()) }
    const manifest = await takeBackup({
      ...progress,
      ...{ engines: { log, store, database }, directory: draft, version, clock },
    })
    renameSync(draft, resolve(target))
    syncPath(resolve(target))
    return summaryOf(manifest)
  } catch (error) {
    if (isInUse(error)) return null
    rmSync(draft, { recursive: true, force: true })
    throw startFailureOf(error, dataDirectory)
  } finally {
    await closing.run(CLOSE_MS_MAX)
  }
}

/** Reads every file of a backup. @throws StartFailure when one is not what the manifest says */
export async function verifyBackup(
  directory: string,
  { signal, onStep }: CopyProgress,
): Promise<CopySummary> {
  const manifest = readManifest(resolve(directory))
  onStep('checksums')
  await verifyFiles(resolve(directory), manifest, () => signal.throwIfAborted())
  return summaryOf(manifest)
}

/** What a manifest says, in short. */
export function summaryOf({ startedAt, finishedAt, files }: Manifest): CopySummary {
  const bytes = files.reduce((sum, file) => sum + BigInt(file.bytes), 0n).toString()
  return { startedAt, finishedAt, files: files.length, bytes }
}

function isInUse(error: unknown): boolean {
  return (
    (error instanceof LogError && error.code === 'locked') ||
    (error instanceof StoreError && error.code === 'locked') ||
    (error instanceof DatabaseError && error.code === 'inUse')
  )
}
