import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { instantOf, type Instant } from '../../time/instant.ts'
import { LogError, type TopicSpec } from '../../usage/event-log.ts'
import { replaceFile, syncDirectory } from './sync-files.ts'

const DAY_MS = 86_400_000
const DAY_FILE = /^\d{4}-\d{2}-\d{2}\.mdb$/

/** Where the environments of a topic lie: `topic.json` says what the topic is, each `YYYY-MM-DD.mdb` begins on that day. */
export interface TopicFiles {
  readonly folder: string
  /** Files by day, the oldest first. */
  days(): readonly string[]
  file(day: string): string
  /** Makes the name of a new file durable. */
  sync(): void
  remove(day: string): void
}

/** The UTC day of an instant, `YYYY-MM-DD`. */
export function dayOf(at: Instant): string {
  return new Date(at).toISOString().slice(0, 10)
}

/**
 * Days whose records are all older than the retention: a file holds records up to some time of the day on which the
 * next one begins. The newest file always stays, since it knows the next offsets.
 */
export function expiredDays(
  days: readonly string[],
  retentionMs: number | null,
  now: Instant,
): readonly string[] {
  if (retentionMs === null) return []
  return days.filter((_, i) => {
    const next = days[i + 1]
    return next !== undefined && endOf(next) + retentionMs <= now
  })
}

function endOf(day: string): Instant {
  return instantOf(Date.parse(`${day}T00:00:00Z`) + DAY_MS)
}

export function topicFiles(folder: string): TopicFiles {
  return {
    folder,
    days: () =>
      readdirSync(folder)
        .filter((name) => DAY_FILE.test(name))
        .map((name) => basename(name, '.mdb'))
        .sort(),
    file: (day) => join(folder, `${day}.mdb`),
    sync: () => syncDirectory(folder),
    remove(day) {
      const file = join(folder, `${day}.mdb`)
      rmSync(file, { force: true })
      rmSync(`${file}-lock`, { force: true })
    },
  }
}

/** Makes the topic's folder durable with what the topic is; the folder's name is the topic's. */
export function writeTopic(folder: string, spec: TopicSpec): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  replaceFile(
    join(folder, 'topic.json'),
    `${JSON.stringify({ partitions: spec.partitions, retentionMs: spec.retentionMs })}\n`,
  )
  syncDirectory(join(folder, '..'))
}

/** Null where the making of the topic was interrupted. @throws LogError `corrupt` */
export function readTopic(folder: string): TopicSpec | null {
  const file = join(folder, 'topic.json')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
  const found = parsed(text)
  if (found === null) {
    throw new LogError('corrupt', `${file} does not describe a topic. Restore it from a backup.`, {
      retryable: false,
    })
  }
  return { name: basename(folder), ...found }
}

function parsed(text: string): Omit<TopicSpec, 'name'> | null {
  try {
    const found: unknown = JSON.parse(text)
    if (typeof found !== 'object' || found === null || !('partitions' in found) || !('retentionMs' in found))
      return null
    const { partitions, retentionMs } = found
    if (typeof partitions !== 'number' || (retentionMs !== null && typeof retentionMs !== 'number'))
      return null
    return { partitions, retentionMs }
  } catch {
    return null // not JSON: the caller says what to do
  }
}
