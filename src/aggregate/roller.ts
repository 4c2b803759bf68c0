import type { TenantId } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import type { Cut } from '../usage/coordinate.ts'
import { VOID_TYPE } from '../usage/event.ts'
import type { Meter } from '../usage/meter.ts'
import type { ConflictSweeper } from './conflicts.ts'
import { sweepVoids } from './finding-marks.ts'
import { MINUTE_SECONDS } from './marks.ts'
import { MeterRollups } from './meter-rollups.ts'
import type { AggregateMetrics, StageLogger, UsageStore } from './ports.ts'
import { type AuditResult, auditMeter, type RollupAudit, takeOutAll } from './rollup-audit.ts'
import { hasRollups } from './rollup-store.ts'
import type { MinuteMark } from './touched.ts'

export interface RollerDeps {
  readonly store: UsageStore
  /** The journal as it stands in the store. */
  readonly readJournal: () => Promise<Cut>
  readonly conflicts: ConflictSweeper
  /** Every meter of every tenant as it is now. */
  readonly meters: () => readonly Meter[]
  readonly clock: Clock
  readonly metrics: Pick<AggregateMetrics, 'minutesRecomputed' | 'dirtyMinutes'>
  readonly logger: StageLogger
}

/** Keeps rollups: a minute once it has closed and been quiet, an hour once its minutes are computed. */
export interface Roller extends RollupAudit {
  start(): void
  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void>
  /** Events have arrived and count. */
  touched(marks: readonly MinuteMark[]): void
  /** Computes everything that waits, due or not, open minutes too. */
  rollAll(): Promise<void>
  /** Throws the tenant's rollups away and computes them from the events; meanwhile everything is read from these. */
  rebuild(tenant: TenantId, onProgress: (progress: RebuildProgress) => void): Promise<void>
}

interface RebuildProgress {
  readonly minutesDone: number
  readonly minutes: number
}

const PAUSE_MS = 500
const FAILED_PAUSE_MS = 5000
/** What other processes have marked is looked for so often. */
const RELOAD_MS = 60_000
/** A search for conflicts takes at most one part in so many of the time. */
const SWEEP_COST_FACTOR = 10
const SWEEP_PAUSE_MS_MIN = 5000

export function createRoller(deps: RollerDeps): Roller {
  return new RollerLoop(deps)
}

class RollerLoop implements Roller {
  readonly #deps: RollerDeps
  readonly #rollups = new Map<string, MeterRollups>()
  readonly #sweepDueMs = new Map<TenantId, number>()
  #touched: MinuteMark[] = []
  #loadedAtMs = -Infinity
  #timer: NodeJS.Timeout | null = null
  #running: Promise<unknown> = Promise.resolve()
  #isStopped = true

  constructor(deps: RollerDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#isStopped = false
    this.#schedule(0)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#running
  }

  touched(marks: readonly MinuteMark[]): void {
    for (const mark of marks) this.#touched.push(mark)
  }

  rollAll(): Promise<void> {
    return this.#exclusive(() => this.#pass(Infinity))
  }

  audit(tenant: TenantId, fix: boolean): Promise<AuditResult> {
    return this.#exclusive(async () => {
      const { store, readJournal } = this.#deps
      const sum = { meters: 0, buckets: 0, different: 0, fixed: 0 }
      for (const meter of this.#metersOf(tenant)) {
        const found = await auditMeter(store, meter, await readJournal(), fix)
        sum.meters++
        sum.buckets += found.buckets
        sum.different += found.different
        sum.fixed += found.fixed
      }
      if (sum.fixed > 0) await this.#pass(Infinity)
      return sum
    })
  }

  rebuild(tenant: TenantId, onProgress: (progress: RebuildProgress) => void): Promise<void> {
    return this.#exclusive(async () => {
      const { store, readJournal } = this.#deps
      const rebuilt = this.#metersOf(tenant).map((meter) => new MeterRollups(meter, this.#deps))
      for (const rollups of rebuilt) {
        await takeOutAll(store, rollups.meter)
        await rollups.load()
      }
      const minutes = rebuilt.reduce((sum, { waiting }) => sum + waiting, 0)
      let minutesDone = 0
      for (const rollups of rebuilt) {
        await rollups.roll(await readJournal(), Infinity, (done) => {
          minutesDone += done
          onProgress({ minutesDone, minutes })
        })
      }
    })
  }

  #metersOf(tenant: TenantId) {
    return this.#deps
      .meters()
      .filter(hasRollups)
      .filter((meter) => meter.tenant === tenant)
  }

  /** One thing at a time: a pass of the loop, an audit, a rebuild. */
  #exclusive<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#running.then(task)
    this.#running = mine.catch(() => undefined) // whoever asked for it is told
    return mine
  }

  #schedule(pauseMs: number): void {
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#turn(), pauseMs)
  }

  async #turn(): Promise<void> {
    try {
      await this.#exclusive(() => this.#pass(this.#deps.clock.now()))
      this.#schedule(PAUSE_MS)
    } catch (error) {
      this.#deps.logger.warn({ error: String(error) }, 'rollups could not be computed; trying again')
      this.#schedule(FAILED_PAUSE_MS)
    }
  }

  /** @param nowMs Infinity: everything is due */
  async #pass(nowMs: number): Promise<void> {
    const marks = this.#touched
    this.#touched = []
    try {
      const journal = await this.#deps.readJournal()
      const isReload = nowMs - this.#loadedAtMs >= RELOAD_MS
      await this.#syncMeters(isReload)
      this.#distribute(marks)
      await this.#search(marks, journal, nowMs, isReload)
      for (const rollups of this.#rollups.values()) {
        if (this.#isStopped && nowMs !== Infinity) break
        await rollups.roll(journal, nowMs, () => undefined)
      }
      if (isReload) this.#loadedAtMs = this.#deps.clock.now()
    } catch (error) {
      this.#touched = [...marks, ...this.#touched]
      throw error
    }
    this.#deps.metrics.dirtyMinutes(
      [...this.#rollups.values()].reduce((sum, { waiting }) => sum + waiting, 0),
    )
  }

  /** A new meter or revision begins with everything that has arrived of its type. */
  async #syncMeters(isReload: boolean): Promise<void> {
    const meters = this.#deps.meters().filter(hasRollups)
    const keys = new Set(meters.map(rollupsKey))
    for (const key of this.#rollups.keys()) if (!keys.has(key)) this.#rollups.delete(key)
    for (const meter of meters) {
      const key = rollupsKey(meter)
      const known = this.#rollups.get(key)
      if (known !== undefined && !isReload) continue
      const rollups = known ?? new MeterRollups(meter, this.#deps)
      await rollups.load()
      this.#rollups.set(key, rollups)
    }
  }

  #distribute(marks: readonly MinuteMark[]): void {
    for (const rollups of this.#rollups.values()) {
      const { tenant, eventType } = rollups.meter
      for (const mark of marks) {
        if (mark.tenant === tenant && mark.type === eventType)
          rollups.add(mark.minute * MINUTE_SECONDS, false)
      }
    }
  }

  /** Voids and conflicts make minutes dirty in which nothing has arrived. */
  async #search(marks: readonly MinuteMark[], journal: Cut, nowMs: number, isReload: boolean): Promise<void> {
    const { store, conflicts, clock } = this.#deps
    const metered = [...this.#rollups.values()].map(({ meter }) => meter.tenant)
    const tenants = new Set([...marks.map(({ tenant }) => tenant as TenantId), ...(isReload ? metered : [])])
    const voiding = new Set(
      marks.filter(({ type }) => type === VOID_TYPE).map(({ tenant }) => tenant as TenantId),
    )
    for (const tenant of isReload ? tenants : voiding) {
      for (const { type, minute } of await sweepVoids(store, tenant, journal)) {
        for (const rollups of this.#ofTenant(tenant)) {
          if (rollups.meter.eventType === type) rollups.add(minute, true)
        }
      }
    }
    for (const tenant of tenants) this.#sweepDueMs.set(tenant, this.#sweepDueMs.get(tenant) ?? 0)
    for (const [tenant, dueMs] of this.#sweepDueMs) {
      if (nowMs < dueMs) continue
      const startedMs = performance.now()
      const found = await conflicts.sweep(tenant, journal)
      const tookMs = performance.now() - startedMs
      const pauseMs = Math.max(SWEEP_PAUSE_MS_MIN, SWEEP_COST_FACTOR * tookMs)
      this.#sweepDueMs.set(tenant, clock.now() + pauseMs)
      if (found > 0) for (const rollups of this.#ofTenant(tenant)) await rollups.load()
    }
  }

  #ofTenant(tenant: TenantId): readonly MeterRollups[] {
    return [...this.#rollups.values()].filter(({ meter }) => meter.tenant === tenant)
  }
}

function rollupsKey({ tenant, key, revision, eventType }: Meter): string {
  return JSON.stringify([tenant, key, revision, eventType])
}
