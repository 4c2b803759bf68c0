import { hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { QuotaKey, TenantId } from '../id/ids.ts'
import {
  absolute,
  add,
  compare,
  decimal,
  isNegative,
  multiply,
  subtract,
  toText,
  ZERO,
} from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import { type QuotaCause, withCause, withoutCauses } from './cause.ts'
import { type Holder, holderIndex } from './holder.ts'
import type { KeyState, QuotaStatus } from './key-state.ts'
import { climb, type LadderPosition, type Phase, rungName } from './ladder.ts'
import type { Epoch, Quota } from './quota.ts'

/** A rung was reached, or a holder that was shut out is let in again. Told once, under a deterministic id. */
export interface Notice {
  readonly id: string
  readonly tenant: TenantId
  readonly quotaKey: QuotaKey
  readonly holder: Holder
  readonly epoch: string
  readonly kind: 'reached' | 'restored'
  /** Name of the rung reached: `0.8 notify`; of `restored`, null. */
  readonly rung: string | null
  readonly used: string
  readonly limit: string | null
  readonly firedAt: Instant
}

export interface SettleInputs {
  readonly quota: Quota
  readonly holder: Holder
  readonly epoch: Epoch
  /** The exact cumulative quantity of the epoch; never a difference. */
  readonly used: string
  readonly topUps: string
  readonly previous: QuotaStatus | null
  /** The holder's keys that carry the quota and are not revoked. */
  readonly keys: readonly KeyState[]
  /** By the holder's clock. */
  readonly now: Instant
}

export interface Settlement {
  readonly status: QuotaStatus
  /** Worth telling other processes: the phase, the limit or the epoch changed, or a share of the limit went by. */
  readonly publish: boolean
  /** Already told ones among them are recognised by their id. */
  readonly notices: readonly Notice[]
  /** Keys whose causes changed, each a version further. */
  readonly keys: readonly KeyState[]
}

/** Of the limit: progress within a phase is published in steps of this share, so that a gate's hint is that close. */
const PUBLISH_SHARE = decimal('0.01')

/** Whether nobody under the quota may be let in. */
export function shutsOut(phase: Phase): boolean {
  return phase === 'exhausted' || phase === 'suspended' || phase === 'revoked'
}

/** What an exact quantity means for a holder: the new status, what is to be told, whose keys change. Null: nothing new. */
export function settle(inputs: SettleInputs): Settlement | null {
  const { quota, epoch, used, previous, now } = inputs
  const limit = quota.limit === null ? null : add(decimal(quota.limit), decimal(inputs.topUps))
  const sameEpoch = previous?.epoch === epoch.label
  const position = climb({
    used: decimal(used),
    limit,
    ladder: quota.ladder,
    reachedAt: new Map(sameEpoch ? Object.entries(previous.reachedAt) : []),
    now,
  })
  const status: QuotaStatus = {
    kind: 'quotaStatus',
    version: (previous?.version ?? 0) + 1,
    tenant: quota.tenant,
    quotaKey: quota.key,
    holder: inputs.holder,
    unit: quota.unit,
    period: quota.period,
    epoch: epoch.label,
    startsAt: epoch.interval.start,
    resetAt: epoch.resetAt,
    limit: limit === null ? null : toText(limit),
    topUps: toText(decimal(inputs.topUps)),
    used: toText(decimal(used)),
    phase: position.phase,
    rung: position.rung === null ? null : rungName(position.rung),
    warning: highestShare(position),
    throttleRequestsPerSecond: position.rung?.action === 'throttle' ? position.rung.requestsPerSecond : null,
    reachedAt: Object.fromEntries(
      position.reached.map((rung) => [
        rungName(rung),
        (sameEpoch ? previous.reachedAt[rungName(rung)] : undefined) ?? now,
      ]),
    ),
    graceUntil: position.graceUntil,
    evaluatedAt: now,
  }
  const keys = inputs.keys.flatMap((key) => changedKey(key, status) ?? [])
  if (previous !== null && keys.length === 0 && sameFigures(previous, status)) return null
  return {
    status,
    publish: previous === null || matters(previous, status),
    notices: noticesOf(inputs, status, position),
    keys,
  }
}

/** What is left of the limit, never below zero; null when unlimited. */
export function remainingOf(status: QuotaStatus): string | null {
  if (status.limit === null) return null
  const left = subtract(decimal(status.limit), decimal(status.used))
  return toText(isNegative(left) ? ZERO : left)
}

function changedKey(key: KeyState, status: QuotaStatus): KeyState | null {
  if (status.phase === 'revoked') {
    return key.revokedAt === null ? { ...key, version: key.version + 1, revokedAt: status.evaluatedAt } : null
  }
  const others = withoutCauses(key.causes, { kind: 'quota', quotaKey: status.quotaKey })
  const own = key.causes.filter((cause): cause is QuotaCause => !others.includes(cause))
  const wanted: QuotaCause = {
    kind: 'quota',
    quotaKey: status.quotaKey,
    epoch: status.epoch,
    since: own.find((cause) => cause.epoch === status.epoch)?.since ?? status.evaluatedAt,
    until: status.resetAt,
  }
  const wants = status.phase === 'suspended' ? [wanted] : []
  if (isDeepStrictEqual(own, wants)) return null
  const causes = status.phase === 'suspended' ? withCause(others, wanted) : others
  return { ...key, version: key.version + 1, causes }
}

function noticesOf(inputs: SettleInputs, status: QuotaStatus, position: LadderPosition): Notice[] {
  const { previous } = inputs
  const notice = (kind: Notice['kind'], rung: string | null, nth: string): Notice => ({
    id: `ntc_${hash('sha256', [holderIndex(status.tenant, status.holder), status.quotaKey, status.epoch, kind, nth].join('\0'), 'hex').slice(0, 32)}`,
    tenant: status.tenant,
    quotaKey: status.quotaKey,
    holder: status.holder,
    epoch: status.epoch,
    kind,
    rung,
    used: status.used,
    limit: status.limit,
    firedAt: status.evaluatedAt,
  })
  const notices = position.reached.map((rung) => notice('reached', rungName(rung), rungName(rung)))
  // Every return is told; the version tells them apart, and is taken under the lock of the holder's row.
  const restored = previous !== null && shutsOut(previous.phase) && !shutsOut(status.phase)
  return restored ? [...notices, notice('restored', null, String(status.version))] : notices
}

function highestShare(position: LadderPosition): string | null {
  const last = position.reached.at(-1)
  return last === undefined ? null : toText(decimal(last.at))
}

function sameFigures(a: QuotaStatus, b: QuotaStatus): boolean {
  return isDeepStrictEqual({ ...a, version: 0, evaluatedAt: 0 }, { ...b, version: 0, evaluatedAt: 0 })
}

function matters(before: QuotaStatus, after: QuotaStatus): boolean {
  if (!sameFigures({ ...before, used: '0' }, { ...after, used: '0' })) return true
  if (after.limit === null) return false
  const step = absolute(subtract(decimal(after.used), decimal(before.used)))
  return compare(step, multiply(decimal(after.limit), PUBLISH_SHARE)) >= 0
}
