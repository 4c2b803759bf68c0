import { z } from '@hono/zod-openapi'
import type { CustomerKey, QuotaKey, SubjectId } from '../id/ids.ts'
import type { Cause } from '../provision/cause.ts'
import type { KeyCondition, KeyState } from '../provision/key-state.ts'
import { isIpRange } from '../provision/ip-ranges.ts'
import { ENVIRONMENTS } from '../provision/key-format.ts'
import { formatInstant, type Instant, parseInstant } from '../time/instant.ts'

/** RFC 3339 in, an instant inside. */
const instantText = z
  .string()
  .transform((text, context): Instant => {
    const instant = parseInstant(text)
    if (instant !== null) return instant
    context.addIssue({ code: 'custom', message: 'must be RFC 3339, such as 2026-03-01T00:00:00Z' })
    return z.NEVER
  })
  .openapi({ type: 'string', format: 'date-time', example: '2026-03-01T00:00:00Z' })

/** Enough to recognise an imported key by, too little to use it. */
const hint = z.string().trim().min(1).max(24)
const name = z.string().trim().min(1).max(200)
const scope = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9_.:*-]{0,63}$/,
    'must be letters, digits, "_", ".", ":", "*" or "-", a letter first',
  )

export const keyRequestShape = z
  .strictObject({
    customer: z
      .string()
      .min(1)
      .max(256)
      .nullish()
      .transform((text) => (text ?? null) as CustomerKey | null),
    subject: z
      .string()
      .min(1)
      .max(256)
      .nullish()
      .transform((text) => (text ?? null) as SubjectId | null),
    name,
    scopes: z
      .array(scope)
      .max(64)
      .default([])
      .openapi({
        description:
          '`ingest`, `read` and `admin` open this API for the whole tenant; any other word is a permission of your own, for POST /v1/keys/verify.',
        example: ['chat.write'],
      }),
    environment: z.enum(ENVIRONMENTS).default('live'),
    notBefore: instantText.nullish().transform((instant) => instant ?? null),
    expiresAt: instantText.nullish().transform((instant) => instant ?? null),
    ipRanges: z
      .array(z.string().refine(isIpRange, 'must be an address or a range such as "10.0.0.0/8"'))
      .max(64)
      .default([])
      .openapi({ description: 'Where it may be used from; empty is anywhere.', example: ['203.0.113.0/24'] }),
    hash: z
      .strictObject({ algorithm: z.literal('sha256'), value: z.string().max(64), hint: hint.optional() })
      .optional()
      .openapi({
        description:
          'Makes a key known that was made elsewhere: its SHA-256 in hex, base64 or base64url. The key stays as it is and is not in the answer.',
      }),
    rate: z
      .strictObject({
        requestsPerSecond: z.number().positive().max(1_000_000),
        burst: z.number().int().positive().max(1_000_000),
      })
      .nullish()
      .transform((rate) => rate ?? null),
    quotas: z
      .array(
        z
          .string()
          .min(1)
          .max(128)
          .transform((text) => text as QuotaKey),
      )
      .max(32)
      .default([]),
  })
  .openapi('KeyRequest')

const causeShape = z.object({
  kind: z.enum(['quota', 'admin', 'payment', 'leak']),
  since: z.string(),
  quota: z.string().optional(),
  epoch: z.string().optional(),
  until: z.string().nullable().optional(),
  reason: z.string().optional(),
  by: z.string().optional(),
})

const keyMembers = {
  id: z.string().openapi({ example: 'key_06dk2m9c3h3d5r1v7x9n4q8s2t' }),
  hint: z.string().openapi({ example: 'tm_live_Ab3d…9xYz' }),
  name: z.string(),
  environment: z.enum(ENVIRONMENTS),
  status: z.enum(['pending', 'active', 'rotating', 'suspended', 'expired', 'revoked']),
  customer: z.string().nullable(),
  subject: z.string().nullable(),
  scopes: z.array(z.string()),
  quotas: z.array(z.string()),
  rate: z.object({ requestsPerSecond: z.number(), burst: z.number() }).nullable(),
  causes: z.array(causeShape),
  ipRanges: z.array(z.string()),
  createdAt: z.string(),
  notBefore: z.string().nullable(),
  expiresAt: z.string().nullable(),
  lastUsedAt: z
    .string()
    .nullable()
    .openapi({ description: 'Sampled: as good as a minute. Null: never, or not since it was last told.' }),
  revokedAt: z.string().nullable(),
  rotatedTo: z.string().nullable(),
}
export const keyShape = z.object(keyMembers).openapi('Key')
export const mintedKeyShape = z
  .object({
    ...keyMembers,
    key: z.string().nullable().openapi({
      description: 'The key itself. It is shown this once and kept nowhere. Null for an imported one.',
    }),
  })
  .openapi('MintedKey')

export type KeyView = z.infer<typeof keyShape>
export type CauseView = z.infer<typeof causeShape>

export function keyView(state: KeyState, condition: KeyCondition, lastUsedAt: Instant | null): KeyView {
  return {
    id: state.keyId,
    hint: state.hint,
    name: state.name,
    environment: state.environment,
    status: condition,
    customer: state.customer,
    subject: state.subject,
    scopes: [...state.scopes],
    quotas: [...state.quotas],
    rate: state.rate,
    causes: state.causes.map(causeView),
    ipRanges: [...state.ipRanges],
    createdAt: formatInstant(state.createdAt),
    notBefore: instantView(state.notBefore),
    lastUsedAt: instantView(lastUsedAt),
    expiresAt: instantView(state.expiresAt),
    revokedAt: instantView(state.revokedAt),
    rotatedTo: state.rotatedTo,
  }
}

export function causeView(cause: Cause): CauseView {
  const since = formatInstant(cause.since)
  switch (cause.kind) {
    case 'quota':
      return {
        kind: cause.kind,
        since,
        quota: cause.quotaKey,
        epoch: cause.epoch,
        until: instantView(cause.until),
      }
    case 'admin':
      return { kind: cause.kind, since, reason: cause.reason, by: cause.by }
    case 'payment':
    case 'leak':
      return { kind: cause.kind, since, reason: cause.reason }
  }
}

export function instantView(instant: Instant | null): string | null {
  return instant === null ? null : formatInstant(instant)
}

/** A SHA-256 in base64url, from hex, base64 or base64url; null when it is none of these. */
export function hashText(value: string): string | null {
  if (/^[0-9a-fA-F]{64}$/.test(value)) return Buffer.from(value, 'hex').toString('base64url')
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(value)) return null
  return Buffer.from(value, 'base64').toString('base64url')
}
