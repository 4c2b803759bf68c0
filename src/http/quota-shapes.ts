import { z } from '@hono/zod-openapi'
import type { MeterKey, QuotaKey, TenantId } from '../id/ids.ts'
import { isResourceKey, RESOURCE_KEY_RULE } from '../id/resource-key.ts'
import { decimal, isNegative, isZero, parseDecimal, toText } from '../money/decimal.ts'
import { rungName } from '../provision/ladder.ts'
import { QUOTA_PERIODS, type Quota, RUNG_ACTIONS, type Rung } from '../provision/quota.ts'
import type { HeldQuota } from '../provision/quota-book.ts'
import { remainingOf } from '../provision/settle.ts'
import { formatInstant } from '../time/instant.ts'
import { instantView } from './key-shapes.ts'

const GRACE_SECONDS = 3_600
const THROTTLE_REQUESTS_PER_SECOND = 1

/** Decimal text of 0 or more, in its canonical form. */
const quantity = z
  .string()
  .refine(
    (text) => parseDecimal(text).kind === 'decimal',
    'must be a decimal in plain notation, such as "200000"',
  )
  .refine(
    (text) => parseDecimal(text).kind !== 'decimal' || !isNegative(decimal(text)),
    'must not be negative',
  )
  .openapi({ type: 'string', example: '200000' })

export const positiveQuantity = quantity.refine(
  (text) => parseDecimal(text).kind !== 'decimal' || !isZero(decimal(text)),
  'must be more than zero',
)

export const quotaKeyText = z.string().refine(isResourceKey, `must be ${RESOURCE_KEY_RULE}`)

const rungShape = z
  .strictObject({
    at: positiveQuantity.openapi({ example: '0.8', description: 'A share of the limit.' }),
    action: z.enum(RUNG_ACTIONS),
    graceSeconds: z.number().int().positive().max(31_536_000).optional(),
    requestsPerSecond: z.number().positive().max(1_000_000).optional(),
  })
  .superRefine((rung, context) => {
    if (rung.graceSeconds !== undefined && rung.action !== 'grace') {
      context.addIssue({ code: 'custom', path: ['graceSeconds'], message: 'belongs to the action "grace"' })
    }
    if (rung.requestsPerSecond !== undefined && rung.action !== 'throttle') {
      context.addIssue({
        code: 'custom',
        path: ['requestsPerSecond'],
        message: 'belongs to the action "throttle"',
      })
    }
  })

export const quotaRequestShape = z
  .strictObject({
    meter: z.string().min(1).max(128).nullish(),
    unit: z.string().trim().min(1).max(64).default('units'),
    limit: quantity.nullable().openapi({ description: 'Of one period; null is unlimited.' }),
    period: z.enum(QUOTA_PERIODS),
    mode: z.enum(['leased', 'observed']),
    ladder: z
      .array(rungShape)
      .max(32)
      .default([
        { at: '0.8', action: 'notify' },
        { at: '1', action: 'suspend' },
      ]),
    onUnavailable: z.enum(['closed', 'debt', 'open']).default('closed'),
  })
  .openapi('QuotaRequest')

const rungView = z.object({
  at: z.string(),
  action: z.enum(RUNG_ACTIONS),
  graceSeconds: z.number().optional(),
  requestsPerSecond: z.number().optional(),
})

export const quotaShape = z
  .object({
    key: z.string(),
    meter: z.string().nullable(),
    unit: z.string(),
    limit: z.string().nullable(),
    period: z.enum(QUOTA_PERIODS),
    mode: z.enum(['leased', 'observed']),
    ladder: z.array(rungView),
    onUnavailable: z.enum(['closed', 'debt', 'open']),
    version: z.number().int(),
  })
  .openapi('Quota')

export const heldQuotaShape = z
  .object({
    key: z.string(),
    holder: z.object({ kind: z.enum(['subject', 'customer']), id: z.string() }),
    meter: z.string().nullable(),
    unit: z.string(),
    period: z.enum(QUOTA_PERIODS),
    mode: z.enum(['leased', 'observed']),
    limit: z
      .string()
      .nullable()
      .openapi({ description: 'With the top-ups of the epoch; null is unlimited.' }),
    topUps: z.string(),
    used: z.string(),
    remaining: z.string().nullable(),
    phase: z.enum(['open', 'grace', 'throttled', 'overage', 'exhausted', 'suspended', 'revoked']),
    warning: z
      .string()
      .nullable()
      .openapi({ description: 'The highest share of the ladder that is reached.' }),
    epoch: z.string().nullable(),
    startsAt: z.string().nullable(),
    resetAt: z.string().nullable(),
    graceUntil: z.string().nullable(),
    suspendedAt: z.string().nullable(),
    evaluatedAt: z.string().nullable(),
    ladder: z.array(rungView.extend({ reachedAt: z.string().nullable() })),
    notices: z.array(
      z.object({
        id: z.string(),
        kind: z.enum(['reached', 'restored']),
        rung: z.string().nullable(),
        used: z.string(),
        limit: z.string().nullable(),
        firedAt: z.string(),
      }),
    ),
  })
  .openapi('HeldQuota')

/** A request's quota as the stage knows it: canonical decimals, every default explicit. */
export function draftOf(
  tenant: TenantId,
  key: string,
  request: z.output<typeof quotaRequestShape>,
): Omit<Quota, 'version'> {
  return {
    tenant,
    key: key as QuotaKey,
    meter: (request.meter ?? null) as MeterKey | null,
    unit: request.unit,
    limit: request.limit === null ? null : toText(decimal(request.limit)),
    period: request.period,
    mode: request.mode,
    ladder: request.ladder.map(rungOf),
    onUnavailable: request.onUnavailable,
  }
}

function rungOf(rung: z.output<typeof rungShape>): Rung {
  const at = toText(decimal(rung.at))
  switch (rung.action) {
    case 'grace':
      return { at, action: rung.action, graceSeconds: rung.graceSeconds ?? GRACE_SECONDS }
    case 'throttle':
      return {
        at,
        action: rung.action,
        requestsPerSecond: rung.requestsPerSecond ?? THROTTLE_REQUESTS_PER_SECOND,
      }
    case 'notify':
    case 'overage':
    case 'block':
    case 'suspend':
    case 'revoke':
      return { at, action: rung.action }
  }
}

export function quotaView(quota: Quota): z.infer<typeof quotaShape> {
  const { key, meter, unit, limit, period, mode, onUnavailable, version } = quota
  const ladder = quota.ladder.map((rung) => ({ ...rung }))
  return { key, meter, unit, limit, period, mode, ladder, onUnavailable, version }
}

export function heldQuotaView({ quota, holder, status, notices }: HeldQuota): z.infer<typeof heldQuotaShape> {
  const reachedAt = (rung: Rung): string | null => instantView(status?.reachedAt[rungName(rung)] ?? null)
  const suspending = quota.ladder.find((rung) => rung.action === 'suspend')
  return {
    key: quota.key,
    holder,
    meter: quota.meter,
    unit: quota.unit,
    period: quota.period,
    mode: quota.mode,
    limit: status === null ? quota.limit : status.limit,
    topUps: status?.topUps ?? '0',
    used: status?.used ?? '0',
    remaining: status === null ? quota.limit : remainingOf(status),
    phase: status?.phase ?? 'open',
    warning: status?.warning ?? null,
    epoch: status?.epoch ?? null,
    startsAt: instantView(status?.startsAt ?? null),
    resetAt: instantView(status?.resetAt ?? null),
    graceUntil: instantView(status?.graceUntil ?? null),
    suspendedAt: status?.phase === 'suspended' && suspending !== undefined ? reachedAt(suspending) : null,
    evaluatedAt: instantView(status?.evaluatedAt ?? null),
    ladder: quota.ladder.map((rung) => ({ ...rung, reachedAt: reachedAt(rung) })),
    notices: notices.map(({ id, kind, rung, used, limit, firedAt }) => ({
      id,
      kind,
      rung,
      used,
      limit,
      firedAt: formatInstant(firedAt),
    })),
  }
}
