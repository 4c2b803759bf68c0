import { z } from '@hono/zod-openapi'
import { type QuotaFigures, REFUSAL_CODES } from '../provision/decide.ts'
import { answerOf } from '../provision/http-answer.ts'
import { ENVIRONMENTS } from '../provision/key-format.ts'
import type { Verification } from '../provision/key-table.ts'
import { causeView, instantView } from './key-shapes.ts'

const quotaFiguresShape = z.object({
  key: z.string(),
  unit: z.string(),
  limit: z.string().nullable().openapi({ description: 'With the top-ups of the epoch; null is unlimited.' }),
  used: z.string(),
  remaining: z.string().nullable(),
  epoch: z.string(),
  resetAt: z.string().nullable(),
})

export const verificationShape = z
  .object({
    valid: z.boolean(),
    code: z.enum(['valid', ...REFUSAL_CODES]),
    status: z
      .number()
      .int()
      .openapi({ description: 'What to answer the caller of your API with.', example: 429 }),
    detail: z.string(),
    keyId: z.string().nullable(),
    name: z.string().nullable(),
    environment: z.enum(ENVIRONMENTS).nullable(),
    customer: z.string().nullable(),
    subject: z.string().nullable(),
    scopes: z.array(z.string()),
    remaining: z
      .record(z.string(), z.string().nullable())
      .openapi({ description: 'Quota → units left, as last evaluated; null is unlimited.' }),
    requestsRemaining: z.number().int().nullable().openapi({ description: 'Of the rate’s burst.' }),
    quotas: z.array(quotaFiguresShape),
    quota: quotaFiguresShape.nullable().openapi({ description: 'The quota that refused.' }),
    causes: z.array(z.record(z.string(), z.unknown())),
    retryAfterSeconds: z
      .number()
      .int()
      .nullable()
      .openapi({ description: 'Present only where waiting alone can help.' }),
    headers: z
      .record(z.string(), z.string())
      .openapi({ description: 'What to answer with besides: Retry-After, RateLimit, WWW-Authenticate, …' }),
    problem: z
      .record(z.string(), z.unknown())
      .nullable()
      .openapi({ description: 'The body to refuse with, as application/problem+json; null when valid.' }),
  })
  .openapi('Verification')

/** The decision as it goes over the wire: who it is, what is left, and if refused, why and what would help. */
export function verificationView(found: Verification): z.infer<typeof verificationShape> {
  const refusal = found.valid ? null : found.refusal
  const answer = answerOf(found)
  return {
    valid: found.valid,
    code: refusal?.code ?? 'valid',
    status: refusal?.status ?? 200,
    detail: refusal?.detail ?? 'The key may be used.',
    keyId: found.keyId,
    name: found.name,
    environment: found.environment,
    customer: found.customer,
    subject: found.subject,
    scopes: [...found.scopes],
    remaining: Object.fromEntries(found.quotas.map((figures) => [figures.quota, figures.remaining])),
    requestsRemaining: found.valid ? found.requestsRemaining : null,
    quotas: found.quotas.map(figuresView),
    quota: refusal?.quota == null ? null : figuresView(refusal.quota),
    causes: (refusal?.causes ?? []).map(causeView),
    retryAfterSeconds: refusal?.retryAfterSeconds ?? null,
    headers: answer.headers,
    problem: answer.problem,
  }
}

function figuresView(figures: QuotaFigures): z.infer<typeof quotaFiguresShape> {
  const { quota: key, unit, limit, used, remaining, epoch } = figures
  return { key, unit, limit, used, remaining, epoch, resetAt: instantView(figures.resetAt) }
}
