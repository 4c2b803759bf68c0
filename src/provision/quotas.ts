import pLimit from 'p-limit'
import { type Instant, instantOf } from '../time/instant.ts'
import { epochAt } from './quota.ts'
import type { LeasedQuotas } from './leased-quotas.ts'
import type { KeyTable } from './key-table.ts'
import type { Assignment, HolderDirectory, ProvisionMetrics, QuotaStore, UsageReader } from './ports.ts'
import { settle } from './settle.ts'

export interface QuotasDeps {
  readonly store: QuotaStore
  readonly holders: HolderDirectory
  readonly usage: UsageReader
  /** The books of leased quotas; without it those are left alone. */
  readonly leased?: Pick<LeasedQuotas, 'sync' | 'standing'>
  /** Told of new statuses at once, ahead of the topic. */
  readonly table: Pick<KeyTable, 'apply' | 'statuses'>
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicMs: () => number
  readonly metrics: Pick<ProvisionMetrics, 'evaluated' | 'noticeFired'>
}

/** Keeps every observed quota's status true. All of it may be repeated at any time: figures are cumulative. */
export interface Quotas {
  evaluate(assignments: readonly Assignment[]): Promise<void>
  evaluateAll(): Promise<void>
  /**
   * What is due by the calendar: periods that turned, grace that ran out, by each holder's own clock. Called by a
   * timer, and when a test clock was advanced.
   */
  tick(): Promise<void>
}

/** Evaluations under way at once: each holds a connection of the database for the time of one usage query. */
const EVALUATIONS_MAX = 4
/** A clock that is this little behind the last evaluation is another process's, not another time. */
const CLOCK_SKEW_MAX_MS = 300_000

export function createQuotas(deps: QuotasDeps): Quotas {
  const { store, holders, usage, leased, table, monotonicMs, metrics } = deps
  const slots = pLimit(EVALUATIONS_MAX)

  const evaluateOne = async (assignment: Assignment): Promise<void> => {
    const startedMs = monotonicMs()
    let found: 'same' | 'gone' = 'gone'
    const outcome = await store.settle(assignment, async ({ quota, previous, topUps, keys }) => {
      found = 'same'
      const { tenant, holder } = assignment
      const profile = await holders.profile(tenant, holder)
      if (profile === null) return null
      const now = notBefore(holders.now(tenant, holder), previous?.evaluatedAt ?? null)
      if (quota.mode === 'leased') {
        if (leased === undefined) return null
        await leased.sync(assignment, quota, profile, now)
        const standing = leased.standing(assignment)
        return standing === null ? null : settle({ quota, holder, previous, keys, now, ...standing })
      }
      if (quota.meter === null) return null
      const epoch = epochAt(quota.period, now, profile.timezone, profile.billingPeriod)
      const [used, added] = await Promise.all([
        usage.usageOf({ tenant, meter: quota.meter, subjects: profile.subjects, interval: epoch.interval }),
        topUps(epoch.label),
      ])
      return settle({ quota, holder, epoch, used, topUps: added, previous, keys, now })
    })
    for (const notice of outcome?.fresh ?? []) {
      metrics.noticeFired(notice.rung === null ? notice.kind : (notice.rung.split(' ')[1] ?? notice.kind))
    }
    if (outcome !== null) {
      for (const key of outcome.settlement.keys) table.apply(key)
      table.apply(outcome.settlement.status)
    }
    const seconds = (monotonicMs() - startedMs) / 1000
    metrics.evaluated(outcome === null ? found : 'changed', seconds)
  }

  const evaluate = async (assignments: readonly Assignment[]): Promise<void> => {
    await Promise.all(assignments.map((assignment) => slots(() => evaluateOne(assignment))))
  }

  return {
    evaluate,
    evaluateAll: async () => evaluate(await store.assignments({})),
    async tick() {
      const due: Assignment[] = []
      for (const status of table.statuses()) {
        const now = holders.now(status.tenant, status.holder)
        const turned = status.resetAt !== null && now >= status.resetAt
        if (turned || (status.graceUntil !== null && now >= status.graceUntil)) due.push(status)
      }
      await evaluate(due)
    },
  }
}

function notBefore(now: Instant, last: Instant | null): Instant {
  return last !== null && now < last && last - now <= CLOCK_SKEW_MAX_MS ? instantOf(last) : now
}
