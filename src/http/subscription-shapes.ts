import { z } from '@hono/zod-openapi'
import type { BillingInterval } from '../time/billing-period.ts'
import { periodAt } from '../time/billing-period.ts'
import { formatInstant, type Instant } from '../time/instant.ts'
import { SUBSCRIPTION_STATES } from '../subscription/lifecycle.ts'
import { presentPhase, scheduleOf, serviceEnd, type Subscription } from '../subscription/subscription.ts'
import type { SubscriptionNotice } from '../subscription/transitions.ts'
import { instantOrNull, instantShape } from './route-parts.ts'

const overrides = z.record(z.string(), z.record(z.string(), z.unknown())).openapi({
  description:
    'Key of a price of the plan → the members that differ (`price`, `discounts`, `minimum`, `maximum`); null takes the plan’s away.',
  example: { base: { price: { model: 'flat', amount: '10.00' } } },
})
const at = z.string().optional().openapi({
  description: '`now`, `periodEnd`, or a time of RFC 3339 in the future. Now where absent.',
  example: 'periodEnd',
})

export const subscriptionRequestShape = z.strictObject({
  customer: z.string(),
  plan: z.string(),
  startsAt: instantShape.nullish().openapi({ description: 'The customer’s now where absent.' }),
  anchorDay: z.number().int().min(1).max(31).nullish().openapi({
    description:
      'Day of the month on which periods turn, clamped to short months; weekday 1 to 7 of a weekly plan. The day of the start where absent.',
  }),
  overrides: overrides.optional(),
})
export const cancelShape = z.strictObject({ at, reason: z.string().nullish() })
export const planChangeShape = z.strictObject({ plan: z.string(), at, overrides: overrides.optional() })
export const pauseShape = z.strictObject({
  resumeAt: instantShape.nullish().openapi({ description: 'Until it is resumed where absent.' }),
})

export const subscriptionShape = z
  .object({
    id: z.string(),
    customer: z.string(),
    plan: z.string(),
    planVersion: z.number().int(),
    state: z.enum(SUBSCRIPTION_STATES),
    startsAt: instantShape,
    endsAt: instantShape.nullable().openapi({ description: 'When it ended or will end; null is open.' }),
    anchorDay: z.number().int(),
    timezone: z.string(),
    currentPeriod: z.object({ start: instantShape, end: instantShape }).nullable().openapi({
      description:
        'The billing period that runs by the customer’s clock; null before it starts and after it has ended.',
    }),
    cancelAt: instantShape.nullable(),
    endedAt: instantShape.nullable(),
    overrides,
    phases: z.array(
      z.object({
        start: instantShape,
        plan: z.string(),
        version: z.number().int(),
        reason: z.enum(['created', 'planVersion', 'change']),
        overrides,
      }),
    ),
    pauses: z.array(z.object({ start: instantShape, end: instantShape.nullable() })),
    createdAt: instantShape,
    updatedAt: instantShape,
  })
  .openapi('Subscription')

export const noticeShape = z
  .object({ event: z.string(), at: instantShape, detail: z.record(z.string(), z.string()) })
  .openapi('SubscriptionNotice')

/** @param now by the customer's clock */
export function subscriptionView(
  subscription: Subscription,
  interval: BillingInterval,
  now: Instant,
): z.infer<typeof subscriptionShape> {
  const present = presentPhase(subscription, now)
  return {
    id: subscription.id,
    customer: subscription.customer,
    plan: present.plan,
    planVersion: present.version,
    state: subscription.state,
    startsAt: formatInstant(subscription.startsAt),
    endsAt: instantOrNull(serviceEnd(subscription)),
    anchorDay: subscription.anchorDay,
    timezone: subscription.timezone,
    currentPeriod: currentPeriod(subscription, interval, now),
    cancelAt: instantOrNull(subscription.cancelAt),
    endedAt: instantOrNull(subscription.endedAt),
    overrides: { ...present.overrides },
    phases: subscription.phases.map(({ start, plan, version, reason, overrides: own }) => ({
      start: formatInstant(start),
      plan,
      version,
      reason,
      overrides: { ...own },
    })),
    pauses: subscription.pauses.map(({ start, end }) => ({
      start: formatInstant(start),
      end: instantOrNull(end),
    })),
    createdAt: formatInstant(subscription.createdAt),
    updatedAt: formatInstant(subscription.updatedAt),
  }
}

/** Cut off where the subscription starts and ends. */
function currentPeriod(
  subscription: Subscription,
  interval: BillingInterval,
  now: Instant,
): { start: string; end: string } | null {
  const { startsAt } = subscription
  const serviceEndsAt = serviceEnd(subscription)
  if (now < startsAt || (serviceEndsAt !== null && now >= serviceEndsAt)) return null
  const { start, end } = periodAt(scheduleOf(subscription, interval), now)
  return {
    start: formatInstant(start > startsAt ? start : startsAt),
    end: formatInstant(serviceEndsAt !== null && serviceEndsAt < end ? serviceEndsAt : end),
  }
}

export function noticeView({ event, at: when, detail }: SubscriptionNotice): z.infer<typeof noticeShape> {
  return { event, at: formatInstant(when), detail: { ...detail } }
}
