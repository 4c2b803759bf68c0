import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { BackupJob, BackupJobs } from '../http/backups.ts'
import { newId } from './control.ts'
import { isEmbedded, takeBackup } from './backup.ts'
import { summaryOf } from './backup-commands.ts'
import { readManifest, syncPath } from './backup-manifest.ts'
import type { Engines } from './engines.ts'
import type { Shell } from './shell.ts'

/** While it is written; what a process that died has left is removed before the next one. */
const PARTIAL = '.partial'
const NAME = /^job_[0-9a-z]{26}$/

/**
 * Backups of this process's embedded engines, one at a time, each in a directory of its own below
 * `backup.directory` (`backups` in the data directory). Those that are done are found by their manifests.
 */
export function createBackups(
  shell: Pick<Shell, 'config' | 'dataDirectory' | 'version' | 'clock' | 'closing' | 'onFault' | 'logger'>,
  engines: Engines,
): BackupJobs {
  const { clock, closing, dataDirectory, config, version, onFault, logger } = shell
  const parent = config.backup.directory ?? join(dataDirectory, 'backups')
  const stopping = new AbortController()
  /** The one that runs, or those that failed since the start. */
  const known = new Map<string, BackupJob>()
  let running: Promise<void> | null = null
  closing.add('backup', async () => {
    stopping.abort(new Error('The server was stopped.'))
    await running
  })

  const run = async (job: BackupJob): Promise<void> => {
    const draft = `${job.directory}${PARTIAL}`
    try {
      await takeBackup({
        ...{ engines, directory: draft, version, clock, signal: stopping.signal },
        onStep: (step) => known.set(job.id, { ...job, step }),
      })
      renameSync(draft, job.directory)
      syncPath(job.directory)
      known.delete(job.id)
      logger.info({ backup: job.directory }, 'backup done')
    } catch (error) {
      onFault('the backup', error)
      const failure = error instanceof Error ? error.message : String(error)
      known.set(job.id, { ...job, state: 'failed', failure })
      rmSync(draft, { recursive: true, force: true })
    }
  }

  const done = (id: string): BackupJob | null => {
    const directory = join(parent, id)
    if (!NAME.test(id) || !existsSync(directory)) return null
    const { startedAt, finishedAt, bytes } = summaryOf(readManifest(directory))
    return { id, directory, state: 'done', startedAt, finishedAt, bytes }
  }

  return {
    start() {
      if (!isEmbedded(engines)) return { kind: 'servers' }
      if (running !== null || stopping.signal.aborted) return { kind: 'busy' }
      mkdirSync(parent, { recursive: true, mode: 0o700 })
      for (const name of readdirSync(parent)) {
        if (!name.endsWith(PARTIAL) || !NAME.test(name.slice(0, -PARTIAL.length))) continue
        rmSync(join(parent, name), { recursive: true })
      }
      const id = newId('job', clock)
      const startedAt = new Date(clock.now()).toISOString()
      const job: BackupJob = {
        id,
        directory: join(parent, id),
        state: 'running',
        startedAt,
        step: 'starting',
      }
      known.set(id, job)
      running = run(job).finally(() => {
        running = null
      })
      return { kind: 'started', job }
    },
    get: (id) => known.get(id) ?? done(id),
    list() {
      const names = existsSync(parent) ? readdirSync(parent) : []
      const finished = names
        .filter((name) => NAME.test(name) && statSync(join(parent, name)).isDirectory())
        .map(done)
      return [...finished, ...known.values()]
        .filter((job) => job !== null)
        .sort((a, b) => (a.id < b.id ? 1 : -1))
    },
  }
}
