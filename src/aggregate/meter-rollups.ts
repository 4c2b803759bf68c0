import type { Clock } from '../time/clock.ts'
import { covers, type Cut } from '../usage/coordinate.ts'
import { HOUR_SECONDS, MINUTE_SECONDS } from './marks.ts'
import type { AggregateMetrics, UsageStore } from './ports.ts'
import { RollupQueue } from './rollup-queue.ts'
import {
  type MarkedBucket,
  readDirty,
  readMarked,
  readRolled,
  rollHours,
  type RolledMeter,
  rollMinutes,
  writeRolled,
} from './rollup-store.ts'

export interface MeterRollupsDeps {
  readonly store: UsageStore
  readonly clock: Clock
  readonly metrics: Pick<AggregateMetrics, 'minutesRecomputed'>
}

const RUN_MINUTES_MAX = 1440
const RUN_HOURS_MAX = 168
/** A statement that reads the events of so many minutes for nothing costs about what another statement costs. */
const CLEAN_MINUTES_MAX = 5

/** The rollups of one revision of a meter: what of them waits, and the computing of it. */
export class MeterRollups {
  readonly meter: RolledMeter
  readonly #deps: MeterRollupsDeps
  readonly #minutes = new RollupQueue(MINUTE_SECONDS)
  readonly #hours = new RollupQueue(HOUR_SECONDS)

  constructor(meter: RolledMeter, deps: MeterRollupsDeps) {
    this.meter = meter
    this.#deps = deps
  }

  /** Minutes that wait. */
  get waiting(): number {
    return this.#minutes.size
  }

  /** @param minute seconds @param settled nothing more is to be expected for it */
  add(minute: number, settled: boolean): void {
    const now = this.#deps.clock.now()
    this.#minutes.add(minute, now, settled)
    this.#hours.add(minute - (minute % HOUR_SECONDS), now, settled)
  }

  /** Queues everything that the store knows to be dirty. */
  async load(): Promise<void> {
    const { store, clock } = this.#deps
    const hours = await readDirty(store, this.meter, HOUR_SECONDS, null)
    if (hours.length === 0) return
    const now = clock.now()
    for (const minute of await readDirty(store, this.meter, MINUTE_SECONDS, hours)) {
      this.#minutes.add(minute, now, true)
    }
    for (const hour of hours) this.#hours.add(hour, now, true)
  }

  /** Computes what is due. @param nowMs Infinity: everything that waits @param onRolled told of minutes done */
  async roll(journal: Cut, nowMs: number, onRolled: (minutes: number) => void): Promise<void> {
    let waiting: readonly number[] = []
    for (;;) {
      const due = this.#minutes.takeDue(nowMs, RUN_MINUTES_MAX)
      if (due.length === 0) break
      try {
        for (const run of runsOf(due, MINUTE_SECONDS, RUN_MINUTES_MAX)) {
          waiting = [...waiting, ...(await this.#rollMinutes(run, journal))]
        }
      } catch (error) {
        for (const minute of due) this.add(minute, true)
        throw error
      }
      onRolled(due.length)
    }
    for (const minute of waiting) this.add(minute, true)
    await this.#rollDueHours(journal, nowMs)
  }

  /** Answers minutes whose events are durable but not yet in the journal: they have to wait. */
  async #rollMinutes(run: Run, journal: Cut): Promise<readonly number[]> {
    const { store, clock, metrics } = this.#deps
    const marked = await readMarked(store, this.meter, MINUTE_SECONDS, run.range)
    for (const ready of piecesOf(
      marked,
      ({ bucket, ends }) => run.buckets.has(bucket) && isIn(journal, ends),
    )) {
      const startedMs = performance.now()
      await rollMinutes(store, this.meter, ready, journal)
      await writeRolled(store, this.meter, MINUTE_SECONDS, ready, journal)
      const tookMs = performance.now() - startedMs
      const now = clock.now()
      for (const { bucket } of ready) {
        this.#minutes.computed(bucket, now, tookMs / ready.length)
        this.#hours.add(bucket - (bucket % HOUR_SECONDS), now, true)
      }
      metrics.minutesRecomputed(ready.length, tookMs / 1000)
    }
    return marked
      .filter(({ bucket, ends }) => run.buckets.has(bucket) && !isIn(journal, ends))
      .map(({ bucket }) => bucket)
  }

  async #rollDueHours(journal: Cut, nowMs: number): Promise<void> {
    // An hour with minutes that wait comes again with the last of them.
    const ready = this.#hours
      .takeDue(nowMs, Infinity)
      .filter((hour) => !this.#minutes.hasAny(hour, hour + HOUR_SECONDS, MINUTE_SECONDS))
    try {
      for (const run of runsOf(ready, HOUR_SECONDS, RUN_HOURS_MAX)) await this.#rollHours(run, journal)
    } catch (error) {
      for (const hour of ready) this.#hours.add(hour, this.#deps.clock.now(), true)
      throw error
    }
  }

  async #rollHours(run: Run, journal: Cut): Promise<void> {
    const { store, clock } = this.#deps
    const startedMs = performance.now()
    // First the hours' marks, then the minutes': what arrives between makes the hour dirty again.
    const hours = await readMarked(store, this.meter, HOUR_SECONDS, run.range)
    const minutes = await readMarked(store, this.meter, MINUTE_SECONDS, run.range)
    const rolled = await readRolled(store, this.meter, MINUTE_SECONDS, run.range)
    const byHour = Map.groupBy(minutes, ({ bucket }) => bucket - (bucket % HOUR_SECONDS))
    const complete = hours.flatMap((hour) => {
      const ofHour: readonly MarkedBucket[] = byHour.get(hour.bucket) ?? []
      const isComplete = ofHour.every(({ bucket, sig }) => rolled.get(bucket) === sig)
      const isWanted = run.buckets.has(hour.bucket) && isIn(journal, hour.ends)
      return isComplete && isWanted ? [{ hour, minutes: ofHour }] : []
    })
    if (complete.length === 0) return
    await rollHours(store, this.meter, complete)
    const done = complete.map(({ hour }) => hour)
    await writeRolled(store, this.meter, HOUR_SECONDS, done, journal)
    const tookMs = (performance.now() - startedMs) / done.length
    for (const { bucket } of done) this.#hours.computed(bucket, clock.now(), tookMs)
  }
}

/** A reader whose journal covers this one may then take the bucket: it has nothing in it that does not count yet. */
function isIn(journal: Cut, ends: readonly number[]): boolean {
  return covers(
    journal,
    ends.map((offset, partition) => ({ partition, offset })),
  )
}

/** Wanted buckets in pieces that have few others between them. Time without events lies between for nothing. */
export function piecesOf(
  marked: readonly MarkedBucket[],
  isWanted: (bucket: MarkedBucket) => boolean,
): readonly (readonly MarkedBucket[])[] {
  const pieces: MarkedBucket[][] = []
  let others = Infinity
  for (const bucket of marked) {
    if (!isWanted(bucket)) others++
    else {
      const piece = pieces.at(-1)
      if (piece !== undefined && others <= CLEAN_MINUTES_MAX) piece.push(bucket)
      else pieces.push([bucket])
      others = 0
    }
  }
  return pieces
}

export interface Run {
  readonly buckets: ReadonlySet<number>
  readonly range: { readonly start: number; readonly end: number }
}

/** Buckets in order, cut into runs that are not too long and lie within one month of UTC. */
export function runsOf(buckets: readonly number[], span: number, lengthMax: number): readonly Run[] {
  const runs: { buckets: Set<number>; range: { start: number; end: number } }[] = []
  for (const bucket of buckets) {
    const run = runs.at(-1)
    const isNear =
      run !== undefined &&
      (bucket - run.range.start) / span < lengthMax &&
      monthOf(bucket) === monthOf(run.range.start)
    if (isNear) {
      run.buckets.add(bucket)
      run.range.end = bucket + span
    } else runs.push({ buckets: new Set([bucket]), range: { start: bucket, end: bucket + span } })
  }
  return runs
}

function monthOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 7)
}
