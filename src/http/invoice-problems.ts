import type { InvoiceRefusal } from '../invoice/outcomes.ts'
import type { CommandOutcome } from '../invoice/receivable-ports.ts'
import type { ReceivableGuard } from '../invoice/receivable.ts'
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
    case 'taxPending':
      return new ProblemError({
        status: 503,
        code: 'taxPending',
        title: 'The tax is not known',
        detail: `Nothing is finalized with a guess: ${refusal.detail}. Nothing was done; try again when it is known.`,
        retryAfterSeconds: RETRY_SECONDS,
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

export function unknownInvoice(id: string): ProblemError {
  return new ProblemError({
    status: 404,
    code: 'unknownInvoice',
    title: 'No such invoice',
    detail: `There is no invoice "${id}".`,
  })
}

export function unknownLine(invoice: string, line: string): ProblemError {
  return new ProblemError({
    status: 404,
    code: 'unknownLine',
    title: 'No such line',
    detail: `The invoice ${invoice} has no line "${line}".`,
  })
}

export function invalidCursor(): ProblemError {
  return new ProblemError({
    status: 400,
    code: 'invalidCursor',
    title: 'The cursor is not valid',
    detail: 'Pass the nextCursor of the page before, unchanged.',
    errors: [{ pointer: '/cursor', detail: 'is no cursor of this list' }],
  })
}

/** Why a command on an invoice was refused. */
export function commandProblem(outcome: RefusedCommand, id: string): ProblemError {
  switch (outcome.kind) {
    case 'unknownInvoice':
      return unknownInvoice(id)
    case 'unknownPayment':
      return new ProblemError({
        status: 404,
        code: 'unknownPayment',
        title: 'No such payment',
        detail: `The invoice ${id} has no payment of that id. GET /v1/invoices/${id}/payments lists them.`,
      })
    case 'alreadyReturned':
      return new ProblemError({
        status: 409,
        code: 'alreadyReturned',
        title: 'The payment was returned before',
        detail: `The payment ${outcome.payment.id} was returned already; nothing was done.`,
      })
    case 'keyReused':
      return new ProblemError({
        status: 422,
        code: 'idempotencyKeyReused',
        title: 'The Idempotency-Key was used for another payment',
        detail: 'A payment of another amount was recorded with this key. Use a new key for a new payment.',
      })
    case 'illegal':
      return new ProblemError({
        status: 409,
        code: 'illegalTransition',
        title: 'The state of the invoice does not allow it',
        detail: `An invoice that is ${outcome.state} cannot do "${outcome.event}". Nothing was done.`,
        extra: { state: outcome.state, event: outcome.event },
      })
    case 'guarded':
      return new ProblemError({ status: 409, code: outcome.guard, ...GUARD_TEXTS[outcome.guard] })
  }
}

type RefusedCommand = Exclude<CommandOutcome, { readonly kind: 'done' }>

const GUARD_TEXTS: Readonly<Record<ReceivableGuard, { readonly title: string; readonly detail: string }>> = {
  paymentsApplied: {
    title: 'Payments are applied',
    detail:
      'An invoice can be voided only while no payment is applied. Return the payment first, or issue a credit note.',
  },
  creditNotesIssued: {
    title: 'The invoice was credited',
    detail: 'Credit notes correct it already: credit what is left with another one instead of voiding it.',
  },
  exceedsTotal: {
    title: 'More than the invoice',
    detail: 'The credit notes of an invoice cannot come to more than its total. Credit less.',
  },
  partOfWrittenOff: {
    title: 'Only a part of a written-off invoice',
    detail: 'A payment on a written-off invoice must cover all that is open.',
  },
}
