import { z } from '@hono/zod-openapi'
import { CORRECTION_POLICIES, type PlanVersion, PAYMENTS, VERSION_POLICIES } from '../catalog/plan.ts'
import { PRICE_MODELS } from '../catalog/price.ts'
import { toText } from '../money/decimal.ts'
import { BILLING_INTERVALS } from '../time/billing-period.ts'
import { formatInstant } from '../time/instant.ts'
import { instantOrNull, instantShape } from './route-parts.ts'

const decimalText = z.string().openapi({ description: 'A decimal in plain notation.', example: '12.50' })

const price = z.looseObject({ model: z.enum(PRICE_MODELS) }).openapi('Price', {
  description:
    'How a quantity is priced; each model has members of its own, as in POST /v1/rate. Amounts are decimals in quotes.',
  example: { model: 'package', packageSize: '1000', amount: '0.50' },
})

const planPrice = z
  .looseObject({
    key: z.string(),
    name: z.string(),
    meter: z.string().nullish().openapi({ description: 'Absent for a fee of the period.' }),
    payment: z.enum(PAYMENTS),
    price,
    discounts: z
      .array(z.record(z.string(), z.union([z.string(), z.number()])))
      .optional()
      .openapi({ description: '{percent}, {amount} or {usage}, each with {periods} where it ends.' }),
    minimum: decimalText.nullish(),
    maximum: decimalText.nullish(),
  })
  .openapi('PlanPrice')

const members = {
  name: z.string().openapi({ example: 'LLM API' }),
  currency: z.string().openapi({ description: 'ISO 4217.', example: 'USD' }),
  interval: z.enum(BILLING_INTERVALS),
  prices: z.array(planPrice),
  corrections: z.enum(CORRECTION_POLICIES).optional().openapi({
    description:
      'What becomes of late usage that makes a closed period cheaper: a line on the next invoice, or a credit note.',
  }),
  minimum: decimalText
    .nullish()
    .openapi({ description: 'The least that a period comes to, all prices together.' }),
  maximum: decimalText
    .nullish()
    .openapi({ description: 'The most that a period comes to, all prices together.' }),
}
const existingSubscriptions = z.enum(VERSION_POLICIES).openapi({
  description:
    'What a new version means to subscriptions that exist: nothing, the new prices from their next period on, or from the moment it takes effect.',
})

export const planRequestShape = z.strictObject({
  ...members,
  effectiveAt: instantShape
    .nullish()
    .openapi({ description: 'When the version takes effect; at once where absent.' }),
  existingSubscriptions: existingSubscriptions.optional(),
})

export const planShape = z
  .object({
    key: z.string(),
    version: z.number().int(),
    ...members,
    effectiveAt: instantShape.nullable(),
    existingSubscriptions,
    createdAt: instantShape,
  })
  .openapi('Plan')

export const putPlanShape = planShape.extend({
  subscriptionsReached: z
    .number()
    .int()
    .openapi({ description: 'Subscriptions that the version will reach; 0 when nothing has changed.' }),
})

/** Prices stand as they were written. */
export function planView(plan: PlanVersion): z.infer<typeof planShape> {
  const { key, version, name, currency, interval, corrections, minimum, maximum, document } = plan
  return {
    key,
    version,
    name,
    currency,
    interval,
    prices: document['prices'] as z.infer<typeof planPrice>[],
    ...(document['corrections'] === undefined ? {} : { corrections }),
    ...(minimum === null ? {} : { minimum: toText(minimum) }),
    ...(maximum === null ? {} : { maximum: toText(maximum) }),
    effectiveAt: instantOrNull(plan.effectiveAt),
    existingSubscriptions: plan.existingSubscriptions,
    createdAt: formatInstant(plan.createdAt),
  }
}
