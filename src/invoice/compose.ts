import type { InvoiceId } from '../id/ids.ts'
import type { RatingError } from '../rating/rating-outcome.ts'
import {
  isNegative,
  decimal,
  negate,
  subtract,
  toFixedText,
  toText,
  type Decimal,
  ZERO,
} from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import { type AssembledLine, assembleLines } from './assemble.ts'
import type { Charge } from './charge.ts'
import { type CreditedInvoice, type CreditNoteDraft, draftCreditNote } from './credit-note.ts'
import { draftDocument, type InvoiceHeading } from './document.ts'
import type { InvoiceDocument, InvoiceLine, LineTaxRate } from './invoice.ts'
import { giveBack, type InvoicedCharge } from './invoiced-charge.ts'
import type { MeteredQuantity } from './rated-charge.ts'
import type { UsageQuestion } from './usage-question.ts'
import type { Currency } from '../money/currency.ts'

/** Everything that an invoice follows from but the usage: with the usage at its cut it gives the same bytes for ever. */
export interface DraftBasis {
  readonly closesAt: Instant
  readonly heading: InvoiceHeading
  readonly charges: readonly Charge[]
  readonly questions: ReadonlyMap<string, UsageQuestion>
  readonly dropped: readonly string[]
  /** Of the charges above and the dropped ones. */
  readonly invoiced: ReadonlyMap<string, InvoicedCharge>
  readonly taxRates: ReadonlyMap<string, readonly LineTaxRate[]>
  /** Invoices that late usage may be credited on. */
  readonly credited: ReadonlyMap<InvoiceId, CreditedInvoice>
  /** Whether the events behind the lines are committed to. */
  readonly commits: boolean
}

export type Composition =
  | {
      readonly kind: 'composed'
      readonly document: InvoiceDocument
      readonly creditNotes: readonly CreditNoteDraft[]
    }
  | { readonly kind: 'unratable'; readonly charge: Charge; readonly error: RatingError }

/** The invoice of a basis and its usage, and the credit notes that go with it. Pure. */
export function compose(basis: DraftBasis, metered: ReadonlyMap<string, MeteredQuantity>): Composition {
  const { closesAt, heading, charges, dropped, invoiced, taxRates } = basis
  const assembled = assembleLines({
    currency: heading.currency as Currency,
    closesAt,
    charges,
    metered,
    invoiced,
    dropped,
    taxRates,
    invoice: heading.id,
  })
  if (assembled.kind === 'unratable') return assembled
  const { lines, creditNotes } = withCreditNotes(assembled.lines, basis)
  return { kind: 'composed', document: draftDocument(heading, lines), creditNotes }
}

/** Takes the lines that a plan wants credited off the invoice, as far as the invoices that billed them have room. */
function withCreditNotes(
  assembled: readonly AssembledLine[],
  basis: DraftBasis,
): { readonly lines: readonly InvoiceLine[]; readonly creditNotes: readonly CreditNoteDraft[] } {
  const pieces = new Map<AssembledLine, readonly CreditedPiece[]>()
  for (const one of assembled) {
    const found = piecesOf(one)
    if (found !== null) pieces.set(one, found)
  }
  // One that does not fit takes its whole line back to the invoice; what is left of the others must fit again.
  for (;;) {
    const drafts = draftsOf([...pieces.values()].flat(), basis)
    const tooMuch = drafts.find((draft) => draft.note === null)
    if (tooMuch === undefined) {
      const lines = assembled.filter((one) => !pieces.has(one)).map(({ line }) => line)
      return { lines, creditNotes: drafts.flatMap(({ note }) => note ?? []) }
    }
    for (const [one, parts] of pieces) {
      if (parts.some(({ invoice }) => invoice === tooMuch.invoice)) pieces.delete(one)
    }
  }
}

interface CreditedPiece {
  readonly invoice: InvoiceId
  readonly line: InvoiceLine
}

function piecesOf({ line, before, policy }: AssembledLine): readonly CreditedPiece[] | null {
  const amount = decimal(line.amount)
  if (policy !== 'creditNote' || line.kind !== 'lateUsage' || before === null || !isNegative(amount))
    return null
  const parts = giveBack(negate(amount), before.creditable)
  if (parts === null) return null
  let exactLeft: Decimal = negate(decimal(line.exactAmount))
  let quantityLeft: Decimal = negate(decimal(line.quantity))
  return parts.map(({ from, amount: given }, i) => {
    // The last piece bears what the amounts do not: so the pieces add up to the line, exact amount and quantity too.
    const last = i === parts.length - 1
    const exactAmount = last ? exactLeft : given
    const quantity = last ? quantityLeft : ZERO
    exactLeft = subtract(exactLeft, exactAmount)
    quantityLeft = subtract(quantityLeft, quantity)
    return {
      invoice: from.invoice,
      line: {
        ...line,
        id: `${line.id}${i === 0 ? '' : `-${i}`}`,
        revision: line.revision + i,
        amount: toFixedText(given),
        exactAmount: toText(exactAmount),
        quantity: toText(quantity),
        taxRates: from.line.taxRates,
        correctsLine: from.line.id,
      },
    }
  })
}

function draftsOf(
  pieces: readonly CreditedPiece[],
  { credited, heading, closesAt }: DraftBasis,
): readonly { readonly invoice: InvoiceId; readonly note: CreditNoteDraft | null }[] {
  return [...Map.groupBy(pieces, ({ invoice }) => invoice)].map(([id, group]) => {
    const invoice = credited.get(id)
    if (invoice === undefined) return { invoice: id, note: null }
    const { seller, customer, billTo, purchaseOrder, currency, timezone, cut } = heading
    const note = draftCreditNote(
      invoice,
      group.map(({ line }) => line),
      { seller, customer, billTo, purchaseOrder, currency, timezone, cut },
      'late usage makes the period cheaper',
      closesAt,
    )
    return { invoice: id, note }
  })
}
