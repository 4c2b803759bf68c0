import { constants } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Instant } from '../../time/instant.ts'
import { LogError } from '../../usage/event-log.ts'
import { createEnvironment, openEnvironment, type Environment } from './environment.ts'
import { dayOf, expiredDays, type TopicFiles } from './topic-files.ts'

/** Older files that stay open for readers that catch up. */
const OLDER_OPEN_MAX = 4

interface Day {
  readonly day: string
  readonly bases: readonly number[]
}

/** The files of a topic, one a day. Offsets go on from each to the next; the newest one is written. */
export class DayEnvironments {
  readonly #files: TopicFiles
  readonly #days: Day[]
  readonly #older = new Map<string, Environment>()
  #newest: Environment
  /** Files of a copy under way neither close nor go. */
  #copying: Promise<void> = Promise.resolve()
  #copies = 0

  private constructor(files: TopicFiles, days: Day[], newest: Environment) {
    this.#files = files
    this.#days = days
    this.#newest = newest
  }

  /** @throws LogError `corrupt` */
  static async open(files: TopicFiles, partitions: number, now: Instant): Promise<DayEnvironments> {
    const days: Day[] = []
    let newest: Environment | null = null
    for (const day of files.days()) {
      await newest?.close()
      newest = openEnvironment(files.file(day), 'append')
      if (newest === null) files.remove(day)
      else if (newest.bases.length === partitions) days.push({ day, bases: newest.bases })
      else throw wrongPartitions(files.file(day), newest.bases.length, partitions)
    }
    if (newest !== null) return new DayEnvironments(files, days, newest)
    const last = days.at(-1)
    if (last !== undefined) {
      // The newest file was the one whose making was interrupted, so the one before is written on.
      const environment = openEnvironment(files.file(last.day), 'append')
      if (environment !== null) return new DayEnvironments(files, days, environment)
    }
    const first = { day: dayOf(now), bases: Array.from({ length: partitions }, () => 0) }
    const environment = await createEnvironment(files.file(first.day), first.bases)
    files.sync()
    return new DayEnvironments(files, [first], environment)
  }

  get newest(): Environment {
    return this.#newest
  }

  start(partition: number): number {
    return this.#days[0]?.bases[partition] ?? 0
  }

  /** Begins the file of the day, if it is a later one than that of the newest. `ends` are the next offsets. */
  async rotate(now: Instant, ends: readonly number[]): Promise<void> {
    const day = dayOf(now)
    const current = this.#days.at(-1)
    if (current !== undefined && day <= current.day) return // also when the clock was set back
    this.#files.remove(day)
    const next = await createEnvironment(this.#files.file(day), [...ends])
    this.#files.sync()
    const before = this.#newest
    this.#newest = next
    this.#days.push({ day, bases: next.bases })
    // Appends do not wait for a copy of the file before; only its end does.
    if (this.#copies > 0) void this.#copying.then(() => before.close())
    else await before.close()
  }

  /** Unlinks files that hold nothing younger than the retention. Returns their days. */
  async expire(now: Instant, retentionMs: number | null): Promise<readonly string[]> {
    if (this.#copies > 0) return [] // at the next rotation or start
    const expired = expiredDays(
      this.#days.map(({ day }) => day),
      retentionMs,
      now,
    )
    for (const day of expired) {
      this.#days.shift()
      const open = this.#older.get(day)
      this.#older.delete(day)
      await open?.close()
      this.#files.remove(day)
    }
    return expired
  }

  /** The environment that holds the offset, and where the next one goes on, if there is a next one. */
  holding(
    partition: number,
    offset: number,
  ): { readonly environment: Environment; readonly nextBase: number | null } {
    const i = this.#days.findLastIndex(({ bases }) => (bases[partition] ?? 0) <= offset)
    const day = this.#days[i]
    if (day === undefined) throw new RangeError(`offset ${offset} lies before the log`)
    const next = this.#days[i + 1]
    if (next === undefined) return { environment: this.#newest, nextBase: null }
    return { environment: this.#openOlder(day.day), nextBase: next.bases[partition] ?? 0 }
  }

  /**
   * Copies every file into the folder, older ones first: what is there afterwards is a prefix of the topic, at least
   * up to its end at the time of the call. The files are not yet synced.
   */
  copyTo(folder: string): Promise<void> {
    const older = this.#days.slice(0, -1)
    const last = this.#days.at(-1)
    const newest = this.#newest
    const copy = async (): Promise<void> => {
      // Nobody writes to an older file any more.
      for (const { day } of older) {
        await copyFile(this.#files.file(day), join(folder, `${day}.mdb`), constants.COPYFILE_EXCL)
      }
      if (last !== undefined) await newest.copyTo(join(folder, `${last.day}.mdb`))
    }
    this.#copies++
    const done = copy().finally(() => this.#copies--)
    this.#copying = Promise.allSettled([this.#copying, done]).then(() => undefined)
    return done
  }

  async close(): Promise<void> {
    await this.#copying
    await Promise.all([this.#newest, ...this.#older.values()].map((environment) => environment.close()))
    this.#older.clear()
  }

  /** Opens an older file for reading, or takes the one that is open, and closes the one that was not used for longest. */
  #openOlder(day: string): Environment {
    const file = this.#files.file(day)
    const environment = this.#older.get(day) ?? openEnvironment(file, 'read')
    if (environment === null) {
      throw new LogError('corrupt', `${file} has lost its head. Restore it from a backup.`, {
        retryable: false,
      })
    }
    this.#older.delete(day)
    this.#older.set(day, environment)
    const [longestUnused] = this.#older
    if (this.#older.size > OLDER_OPEN_MAX && longestUnused !== undefined) {
      this.#older.delete(longestUnused[0])
      void longestUnused[1].close() // at once: nothing was written through it
    }
    return environment
  }
}

function wrongPartitions(file: string, found: number, expected: number): LogError {
  return new LogError(
    'corrupt',
    `${file} has ${found} partitions and its topic ${expected}. Restore it from a backup.`,
    {
      retryable: false,
    },
  )
}
