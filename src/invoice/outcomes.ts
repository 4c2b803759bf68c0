import type { CustomerKey } from '../id/ids.ts'
import type { RatingError } from '../rating/rating-outcome.ts'
import type { Instant } from '../time/instant.ts'
import type { CreditNote, Invoice } from './invoice.ts'
import type { ConservationCheck } from './ports.ts'

/** Why an invoice cannot be computed or closed now. Nothing was changed and no number was taken. */
export type InvoiceRefusal =
  | { readonly kind: 'unknownCustomer'; readonly customer: CustomerKey }
  /** `now` is the customer's clock. */
  | { readonly kind: 'periodNotEnded'; readonly periodEnd: Instant; readonly now: Instant }
  /** `nearest`: closes of the customer's subscriptions around the instant that was named. */
  | { readonly kind: 'notAPeriodEnd'; readonly periodEnd: Instant; readonly nearest: readonly Instant[] }
  | { readonly kind: 'nothingToInvoice'; readonly customer: CustomerKey }
  | { readonly kind: 'journalBehind'; readonly waitedMs: number }
  | { readonly kind: 'conservationMismatch'; readonly failed: readonly ConservationCheck[] }
  | { readonly kind: 'unknownMeter'; readonly price: string; readonly meter: string }
  | { readonly kind: 'mixedCurrencies'; readonly subscription: string; readonly currency: string }
  | { readonly kind: 'unratable'; readonly price: string; readonly error: RatingError }
  /** The tax of the lines is not known: nothing is finalized with a guess. */
  | { readonly kind: 'taxPending'; readonly detail: string }
  /** Others kept changing the customer's invoices while this close was computed. */
  | { readonly kind: 'contended'; readonly attempts: number }

export type PreviewOutcome = { readonly kind: 'invoice'; readonly invoice: Invoice } | InvoiceRefusal

export type CloseOutcome =
  | { readonly kind: 'finalized'; readonly invoice: Invoice }
  /** It had been closed before; nothing was done. */
  | { readonly kind: 'existing'; readonly invoice: Invoice }
  /** Late usage made closed periods cheaper, and there was nothing else: credit notes, and no invoice. */
  | { readonly kind: 'credited'; readonly creditNotes: readonly [CreditNote, ...CreditNote[]] }
  | InvoiceRefusal
