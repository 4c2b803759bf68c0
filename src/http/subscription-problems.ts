import type { CustomerKey, PlanKey } from '../id/ids.ts'
import type {
  ChangePlanOutcome,
  CreateSubscriptionOutcome,
  HeldSubscription,
} from '../subscription/subscription-book.ts'
import { formatInstant } from '../time/instant.ts'
import type { ProblemError } from './problem.ts'
import { notFound, refusal } from './route-parts.ts'

/** Why a customer could not be subscribed. */
export function createProblem(
  outcome: Exclude<CreateSubscriptionOutcome, { readonly kind: 'created' }>,
  { customer, plan }: { readonly customer: CustomerKey; readonly plan: PlanKey },
): ProblemError {
  switch (outcome.kind) {
    case 'unknownCustomer':
      return refusal(422, 'unknownCustomer', 'No such customer', [
        {
          pointer: '/customer',
          detail: `names no customer: there is no "${customer}". PUT /v1/customers/${customer} creates it`,
        },
      ])
    case 'anchorOutOfRange':
      return refusal(422, 'anchorOutOfRange', 'The interval has no such day', [
        {
          pointer: '/anchorDay',
          detail: `must be 1 to ${outcome.anchorDayMax} for the interval of the plan "${plan}"`,
        },
      ])
    case 'unknownPlan':
    case 'currencyDiffers':
    case 'faultyOverrides':
      return planProblem(outcome, plan)
  }
}

/** What was asked of a subscription, for sentences. */
export type Asked = 'canceled' | 'uncanceled' | 'paused' | 'resumed' | 'changed'

/**
 * The subscription after a command. @throws ProblemError when the command was not carried out
 * @param pointer of the member that says when
 * @param plan of a change of plans
 */
export function heldAfter(
  outcome: ChangePlanOutcome,
  id: string,
  asked: Asked,
  pointer: string,
  plan = '',
): HeldSubscription {
  switch (outcome.kind) {
    case 'changed':
    case 'unchanged':
      return outcome.held
    case 'unknown':
      throw unknownSubscription(id)
    case 'illegal':
      throw illegal(outcome.held, asked)
    case 'notInFuture': {
      const now = formatInstant(outcome.now)
      throw refusal(
        422,
        'notInFuture',
        'The time is not in the future',
        [{ pointer, detail: `must be after the customer's now, ${now}; leave it out for at once` }],
        { now },
      )
    }
    case 'intervalDiffers':
      throw refusal(422, 'intervalDiffers', 'The plan is billed in another interval', [
        {
          pointer: '/plan',
          detail: `is billed by the ${outcome.to}, the subscription by the ${outcome.from}: cancel it and subscribe anew`,
        },
      ])
    case 'unknownPlan':
    case 'currencyDiffers':
    case 'faultyOverrides':
      throw planProblem(outcome, plan)
  }
}

export function unknownSubscription(id: string): ProblemError {
  const detail = `There is no subscription "${id}". GET /v1/subscriptions lists them.`
  return notFound('unknownSubscription', 'subscription', detail)
}

function planProblem(
  outcome: Extract<
    CreateSubscriptionOutcome,
    { readonly kind: 'unknownPlan' | 'currencyDiffers' | 'faultyOverrides' }
  >,
  plan: string,
): ProblemError {
  switch (outcome.kind) {
    case 'unknownPlan':
      return refusal(422, 'unknownPlan', 'No such plan', [
        {
          pointer: '/plan',
          detail: `names no plan: there is no "${plan}". PUT /v1/plans/${plan} creates it`,
        },
      ])
    case 'currencyDiffers':
      return refusal(422, 'currencyDiffers', 'The plan is sold in another currency', [
        {
          pointer: '/plan',
          detail: `is sold in ${outcome.plan}, the customer pays in ${outcome.customer}: one invoice has one currency`,
        },
      ])
    case 'faultyOverrides':
      return refusal(422, 'faultyOverrides', 'The overrides do not fit the plan', outcome.faults)
  }
}

function illegal({ subscription }: HeldSubscription, asked: Asked): ProblemError {
  const { state, id } = subscription
  return refusal(
    409,
    'illegalTransition',
    'The state does not allow it',
    [
      {
        pointer: '',
        detail: `asks for what cannot be: ${id} is ${state}, it cannot be ${asked}`,
      },
    ],
    { state },
  )
}
