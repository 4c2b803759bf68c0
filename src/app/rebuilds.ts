import { randomBytes } from 'node:crypto'
import type { Roller } from '../aggregate/roller.ts'
import { replayRows } from '../aggregate/row-replay.ts'
import type { RebuildJob, Rebuilds } from '../http/rebuilds.ts'
import { newId } from './control.ts'
import type { Engines } from './engines.ts'
import type { Shell } from './shell.ts'

/** Rebuilds of this process, one at a time. The last one's outcome is kept until the next. */
export function createRebuilds(
  { clock, closing, onFault }: Pick<Shell, 'clock' | 'closing' | 'onFault'>,
  { log, store }: Pick<Engines, 'log' | 'store'>,
  roller: Pick<Roller, 'rebuild' | 'audit'> | null,
): Rebuilds {
  const stopping = new AbortController()
  let job: RebuildJob | null = null
  let running: Promise<void> | null = null
  closing.add('rebuild', async () => {
    stopping.abort(new Error('The server was stopped.'))
    await running
  })

  const start = (
    kind: RebuildJob['kind'],
    task: (tell: (done: number, total: number) => void) => Promise<unknown>,
  ): ReturnType<Rebuilds['rollups']> => {
    if (running !== null || stopping.signal.aborted) return { kind: 'busy' }
    const begun: RebuildJob = { id: newId('job', clock), kind, state: 'running', done: 0, total: null }
    let last = begun
    const set = (next: Partial<RebuildJob>): void => {
      last = { ...last, ...next }
      job = last
    }
    set({})
    running = task((done, total) => set({ done, total }))
      .then(
        () => set({ state: 'done' }),
        (error: unknown) => {
          onFault('the rebuild', error)
          set({ state: 'failed', failure: error instanceof Error ? error.message : String(error) })
        },
      )
      .finally(() => {
        running = null
      })
    return { kind: 'started', job: begun }
  }

  return {
    rollups: (tenant) =>
      roller === null
        ? { kind: 'elsewhere' }
        : start('rollups', (tell) =>
            roller.rebuild(tenant, ({ minutesDone, minutes }) => tell(minutesDone, minutes)),
          ),
    rows: (tenant, from) =>
      roller === null
        ? { kind: 'elsewhere' }
        : start('rows', async (tell) => {
            await replayRows(
              {
                ...{ log, store, signal: stopping.signal, seed: randomBytes(4).readInt32LE() },
                onProgress: ({ recordsDone, records }) => tell(recordsDone, records),
              },
              from,
            )
            // A row that comes back leaves its minute's marks as they were: only a comparison finds the rollup.
            await roller.audit(tenant, true)
          }),
    get: (id) => (job?.id === id ? job : null),
  }
}
