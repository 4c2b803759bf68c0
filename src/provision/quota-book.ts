import type { CustomerKey, QuotaKey, SubjectId, TenantId } from '../id/ids.ts'
import { compare, decimal } from '../money/decimal.ts'
import type { Clock } from '../time/clock.ts'
import type { Holder } from './holder.ts'
import type { QuotaStatus } from './key-state.ts'
import { rungName } from './ladder.ts'
import type { Assignment, HolderDirectory, MeterDirectory, PutQuotaOutcome, QuotaStore } from './ports.ts'
import { type LeasedQuotas, wholeUnits } from './leased-quotas.ts'
import type { Quota, Rung } from './quota.ts'
import type { Quotas } from './quotas.ts'
import type { Notice } from './settle.ts'

interface QuotaFault {
  readonly kind: 'refused'
  readonly code: 'unknownMeter' | 'meterMissing' | 'repeatedRung' | 'limitFraction' | 'rungNotLeased'
  readonly pointer: string
  readonly detail: string
}

/** Where a holder stands in one quota, with what was told in its epoch. */
export interface HeldQuota {
  readonly quota: Quota
  readonly holder: Holder
  /** Null until the first evaluation; a leased quota that was never asked for has none either. */
  readonly status: QuotaStatus | null
  readonly notices: readonly Notice[]
}

type TopUpOutcome =
  /** Units of leased quotas are whole. */
  | { readonly kind: 'fraction' }
  | { readonly kind: 'added' | 'repeated'; readonly held: HeldQuota }
  | { readonly kind: 'unknown' }
  /** The id was used for other units or another quota. */
  | { readonly kind: 'conflict' }

export interface QuotaBookDeps {
  readonly store: QuotaStore
  readonly quotas: Pick<Quotas, 'evaluate'>
  /** The books of leased quotas; without it those can be defined and not used. */
  readonly leased?: Pick<LeasedQuotas, 'topUp'>
  readonly holders: Pick<HolderDirectory, 'customerOf' | 'now'>
  readonly meters: MeterDirectory
  readonly clock: Clock
}

/** What administrators do with quotas. Every change is in force when its promise resolves. */
export interface QuotaBook {
  put(draft: Omit<Quota, 'version'>): Promise<PutQuotaOutcome | QuotaFault>
  /** The quotas that limit this subject: its own, and those of its customer; for a customer's key, the customer's. */
  heldBy(tenant: TenantId, id: string): Promise<readonly HeldQuota[]>
  /** More units for the current epoch, of the subject's own quota where it has one, else of its customer's. */
  topUp(request: {
    readonly tenant: TenantId
    readonly id: string
    readonly quotaKey: QuotaKey
    readonly units: string
    readonly topUpId: string
  }): Promise<TopUpOutcome>
}

export function createQuotaBook(deps: QuotaBookDeps): QuotaBook {
  const { store, quotas, leased, holders, meters, clock } = deps
  const holdersOf = (tenant: TenantId, id: string): readonly Holder[] => {
    const payer = holders.customerOf(tenant, id as SubjectId)
    return [
      { kind: 'subject', id: id as SubjectId },
      { kind: 'customer', id: payer ?? (id as CustomerKey) },
    ]
  }

  const read = async (assignment: Assignment & { readonly quota: Quota }): Promise<HeldQuota> => {
    const { quota, holder } = assignment
    const status = await store.status(assignment)
    const notices = status === null ? [] : await store.notices(assignment, status.epoch)
    return { quota, holder, status, notices }
  }

  /** A status whose epoch is over is brought up to date before it is shown. */
  const bringUpToDate = async (assignment: Assignment & { readonly quota: Quota }): Promise<HeldQuota> => {
    const held = await read(assignment)
    const now = holders.now(assignment.tenant, assignment.holder)
    const over = held.status === null || (held.status.resetAt !== null && now >= held.status.resetAt)
    if (!over) return held
    await quotas.evaluate([assignment])
    return read(assignment)
  }

  return {
    async put(draft) {
      const fault = faultOf(draft, meters)
      if (fault !== null) return fault
      const outcome = await store.put({ ...draft, ladder: ordered(draft.ladder) }, clock.now())
      if (outcome.kind === 'replaced') {
        await quotas.evaluate(await store.assignments({ tenant: draft.tenant, quotaKey: draft.key }))
      }
      return outcome
    },

    async heldBy(tenant, id) {
      const assignments = await store.assignments({ tenant, holders: holdersOf(tenant, id) })
      return Promise.all(assignments.map(bringUpToDate))
    },

    async topUp({ tenant, id, quotaKey, units, topUpId }) {
      const found = await store.assignments({ tenant, quotaKey, holders: holdersOf(tenant, id) })
      const assignment = found.find((one) => one.holder.kind === 'subject') ?? found[0]
      if (assignment === undefined) return { kind: 'unknown' }
      const { status } = await bringUpToDate(assignment)
      if (status === null) return { kind: 'unknown' }
      const at = holders.now(tenant, assignment.holder)
      const { holder } = assignment
      if (assignment.quota.mode === 'leased') {
        const outcome = (await leased?.topUp({ tenant, quotaKey, holder }, topUpId, units)) ?? 'unknown'
        if (outcome !== 'added') return { kind: outcome }
        await quotas.evaluate([assignment])
        return { kind: 'added', held: await read(assignment) }
      }
      const outcome = await store.topUp({
        id: topUpId,
        assignment: { tenant, quotaKey, holder },
        epoch: status.epoch,
        units,
        at,
      })
      if (outcome.kind === 'conflict') return outcome
      await quotas.evaluate([assignment])
      return { kind: outcome.kind, held: await read(assignment) }
    },
  }
}

/** They let in what is beyond the limit, which a lease never does. */
const SOFT_ACTIONS: ReadonlySet<string> = new Set(['grace', 'throttle', 'overage'])

function faultOf(draft: Omit<Quota, 'version'>, meters: MeterDirectory): QuotaFault | null {
  if (draft.mode === 'observed' && draft.meter === null) {
    const detail = 'An observed quota limits what a meter counts: name the meter.'
    return { kind: 'refused', code: 'meterMissing', pointer: '/meter', detail }
  }
  if (draft.meter !== null && meters.eventTypeOf(draft.tenant, draft.meter) === null) {
    const detail = `There is no meter "${draft.meter}".`
    return { kind: 'refused', code: 'unknownMeter', pointer: '/meter', detail }
  }
  if (draft.mode === 'leased') {
    if (draft.limit !== null && wholeUnits(draft.limit) === null) {
      const detail = 'A leased quota counts units one by one: its limit is a whole number.'
      return { kind: 'refused', code: 'limitFraction', pointer: '/limit', detail }
    }
    const soft = draft.ladder.findIndex((rung) => SOFT_ACTIONS.has(rung.action))
    if (soft !== -1) {
      const detail = `A leased quota is hard: "${draft.ladder[soft]?.action ?? ''}" needs the mode "observed".`
      return { kind: 'refused', code: 'rungNotLeased', pointer: `/ladder/${soft}/action`, detail }
    }
  }
  const names = draft.ladder.map(rungName)
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index)
  if (twice === -1) return null
  const detail = `The ladder has "${names[twice] ?? ''}" twice.`
  return { kind: 'refused', code: 'repeatedRung', pointer: `/ladder/${twice}`, detail }
}

function ordered(ladder: readonly Rung[]): readonly Rung[] {
  return ladder.toSorted((a, b) => compare(decimal(a.at), decimal(b.at)))
}
