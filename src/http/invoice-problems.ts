import type { InvoiceRefusal } from '../invoice/outcomes.ts'
import { formatInstant } from '../time/instant.ts'
import { ProblemError } from './problem.ts'

/** Seconds after which a wait for the journal is worth another try. */
const RETRY_SECONDS = 5

/** A refusal of a preview or close as the problem that the client is told. */
export function invoiceProblem(refusal: InvoiceRefusal): ProblemError {
  switch (refusal.kind) {
    case 'unknownCustomer':
      return new ProblemError({
        status: 404,
        code: 'unknownCustomer',
        title: 'No such customer',
        detail: `There is no customer "${refusal.customer}".`,
        errors: [{ pointer: '/customer', detail: 'is not known' }],
      })
    case 'periodNotEnded': {
      const end = formatInstant(refusal.periodEnd)
      const now = formatInstant(refusal.now)
      return new ProblemError({
        status: 409,
        code: 'periodNotEnded',
        title: 'The period has not ended',
        detail: `The period ends at ${end}; by the customer's clock it is ${now}. Close it from ${end} on; until then a preview shows what it comes to.`,
        errors: [{ pointer: '/periodEnd', detail: `is after the customer's now, ${now}` }],
        extra: { now, periodEnd: end },
      })
    }
    case 'notAPeriodEnd': {
      const nearest = refusal.nearest.map(formatInstant)
      const hint =
        nearest.length === 0
          ? 'The customer has no subscription with a period that has ended.'
          : `The nearest are ${nearest.join(' and ')}.`
      return new ProblemError({
        status: 422,
        code: 'notAPeriodEnd',
        title: 'No billing period ends there',
        detail: `No billing period of the customer's subscriptions ends at ${formatInstant(refusal.periodEnd)}. ${hint}`,
        errors: [{ pointer: '/periodEnd', detail: 'is not the end of a billing period' }],
        extra: { nearest },
      })
    }
    case 'nothingToInvoice':
      return new ProblemError({
        status: 409,
        code: 'nothingToInvoice',
        title: 'There is nothing to invoice',
        detail: `The subscriptions of "${refusal.customer}" owe nothing there that is not invoiced.`,
      })
    case 'journalBehind':
      return new ProblemError({
        status: 503,
        code: 'journalBehind',
        title: 'Accepted events are not countable yet',
        detail: `Everything on the log must be counted first; it was not after ${refusal.waitedMs} ms. Nothing was done; try again.`,
        retryAfterSeconds: RETRY_SECONDS,
      })
    case 'conservationMismatch':
      return new ProblemError({
        status: 409,
        code: 'conservationMismatch',
        title: 'Events are not accounted for',
        detail: `The invoice was not finalized because a check failed: ${refusal.failed.map((check) => `${check.name} (${check.detail})`).join('; ')}. Run "tallyman reconcile".`,
        extra: { checks: refusal.failed },
      })
    case 'unknownMeter':
      return new ProblemError({
        status: 409,
        code: 'unknownMeter',
        title: 'A price names a meter that does not exist',
        detail: `The price "${refusal.price}" is metered by "${refusal.meter}", which is not defined.`,
      })
    case 'mixedCurrencies':
      return new ProblemError({
        status: 409,
        code: 'mixedCurrencies',
        title: 'One invoice has one currency',
        detail: `The plan of subscription ${refusal.subscription} is in ${refusal.currency}, the customer is not.`,
      })
    case 'unratable':
      return new ProblemError({
        status: 409,
        code: 'unratable',
        title: 'Usage cannot be rated',
        detail: `The price "${refusal.price}" cannot be applied: ${refusal.error.pointer} ${refusal.error.detail}.`,
        extra: { rating: refusal.error },
      })
    case 'contended':
      return new ProblemError({
        status: 503,
        code: 'contended',
        title: "The customer's invoices keep changing",
        detail: `The close was computed ${refusal.attempts} times and each time another came first. Nothing was done; try again.`,
        retryAfterSeconds: 1,
      })
  }
}
