import { covers, type Cut } from '../usage/coordinate.ts'
import type { PartitionJournal } from './journal.ts'
import type { JournalView } from './ports.ts'

/** How far events are countable, for those who ask the usage store: where they aggregate, or from the store's journal. */
export interface JournalReach extends JournalView {
  /** True once everything before the cut counts; false after `timeoutMs`. */
  waitForJournal(cut: Cut, timeoutMs: number): Promise<boolean>
}

export interface JournalFollower extends JournalReach {
  stop(): Promise<void>
}

export interface JournalFollowerDeps {
  readonly readJournal: () => Promise<readonly PartitionJournal[]>
  /** Where the log ends now. */
  readonly endOffsets: () => Promise<Cut>
  readonly nowMs: () => number
  /** Told of every failed look; the next one comes all the same. */
  readonly onError: (error: unknown) => void
}

const IDLE_PAUSE_MS = 500
const AWAITED_PAUSE_MS = 50

/**
 * The journal as another process writes it, read again and again; often while somebody waits for it. It may lag
 * behind the truth and is never ahead of it.
 */
export async function followJournal(deps: JournalFollowerDeps): Promise<JournalFollower> {
  let ends: Cut = []
  /** Since when records have been seen on the log that are not countable; null when there are none. */
  let behindSinceMs: number | null = null
  const waiters = new Set<{ readonly cut: Cut; readonly resolve: (reached: boolean) => void }>()

  const look = async (): Promise<void> => {
    const logEnds = await deps.endOffsets()
    const journal = await deps.readJournal()
    ends = journal.map(({ partition, end }) => ({ partition, offset: end }))
    behindSinceMs = covers(ends, logEnds) ? null : (behindSinceMs ?? deps.nowMs())
    for (const waiter of waiters) if (covers(ends, waiter.cut)) waiter.resolve(true)
  }
  await look()

  let isStopped = false
  let timer: NodeJS.Timeout | null = null
  let running: Promise<void> = Promise.resolve()
  const schedule = (): void => {
    if (isStopped) return
    timer = setTimeout(run, waiters.size > 0 ? AWAITED_PAUSE_MS : IDLE_PAUSE_MS)
  }
  const run = (): void => {
    running = look().catch(deps.onError).finally(schedule)
  }
  schedule()

  return {
    ends: () => ends,
    freshnessSeconds: () => (behindSinceMs === null ? 0 : (deps.nowMs() - behindSinceMs) / 1000),
    async waitForJournal(cut, timeoutMs) {
      if (covers(ends, cut)) return true
      const { promise, resolve } = Promise.withResolvers<boolean>()
      const waiter = { cut, resolve }
      waiters.add(waiter)
      const limit = setTimeout(() => resolve(covers(ends, cut)), timeoutMs)
      try {
        return await promise
      } finally {
        clearTimeout(limit)
        waiters.delete(waiter)
      }
    },
    async stop() {
      isStopped = true
      if (timer !== null) clearTimeout(timer)
      await running
    },
  }
}
