import type { InvoiceId, TenantId } from '../id/ids.ts'
import { makeId } from '../id/ids.ts'
import { type Currency, minorUnitDigits } from '../money/currency.ts'
import {
  add,
  compare,
  decimal,
  type Decimal,
  isNegative,
  isZero,
  subtract,
  toFixedText,
  toText,
  ZERO,
} from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import { sha256Hex } from './canonical-json.ts'
import { type CreditedInvoice, creditedInvoice, draftCreditNote, sealCreditNote } from './credit-note.ts'
import type { Invoice, InvoiceLine } from './invoice.ts'
import type { InvoiceStore } from './ports.ts'
import type { CommandOutcome, ReceivablesStore } from './receivable-ports.ts'

export interface CreditRequest {
  readonly tenant: TenantId
  readonly invoice: InvoiceId
  /** What is given back of which line, in the currency's digits, before tax where tax comes on top. */
  readonly lines: readonly { readonly line: string; readonly amount: Decimal }[]
  readonly reason: string
  readonly at: Instant
}

export type CreditingOutcome =
  | CommandOutcome
  /** `index` into the request's lines. */
  | { readonly kind: 'unknownLine'; readonly index: number }
  | { readonly kind: 'notPositive'; readonly index: number }
  | { readonly kind: 'tooManyDigits'; readonly index: number; readonly digitsMax: number }
  | { readonly kind: 'exceedsLine'; readonly index: number; readonly left: string }
  /** Others kept changing the customer's invoices. */
  | { readonly kind: 'contended'; readonly attempts: number }

const attemptsMax = 5

/** Credit notes by decision: parts of lines are given back, whatever was used. */
export function createCrediting(deps: {
  readonly store: Pick<InvoiceStore, 'get' | 'ledger'>
  readonly receivables: Pick<ReceivablesStore, 'credit'>
}): { credit(request: CreditRequest): Promise<CreditingOutcome> } {
  const { store, receivables } = deps

  async function attempt(request: CreditRequest): Promise<CreditingOutcome | { readonly kind: 'outdated' }> {
    const { tenant, at, reason } = request
    const invoice = await store.get(tenant, request.invoice)
    if (invoice === null) return { kind: 'unknownInvoice' }
    const ledger = await store.ledger(tenant, invoice.customer)
    const credited = creditedInvoice(ledger, invoice.id)
    if (credited === null) return { kind: 'illegal', state: invoice.state, event: 'credit' }
    const lines = creditLines(request, invoice, credited)
    if ('kind' in lines) return lines
    const { seller, customer, billTo, purchaseOrder, currency, timezone, cut } = invoice
    const heading = { seller, customer, billTo, purchaseOrder, currency, timezone, cut }
    const draft = draftCreditNote(credited, lines, heading, reason, at)
    if (draft === null) return { kind: 'guarded', guard: 'exceedsTotal' }
    const issue = {
      invoice: invoice.id,
      closesAt: null,
      total: draft.total,
      seal: (number: string, previousHash: string | null) =>
        sealCreditNote(draft.document, number, previousHash, at),
    }
    return receivables.credit(tenant, customer, ledger.version, issue, at)
  }

  return {
    async credit(request) {
      for (let tried = 0; tried < attemptsMax; tried++) {
        const outcome = await attempt(request)
        if (outcome.kind !== 'outdated') return outcome
      }
      return { kind: 'contended', attempts: attemptsMax }
    },
  }
}

function creditLines(
  { lines, reason }: CreditRequest,
  invoice: Invoice,
  credited: CreditedInvoice,
): readonly InvoiceLine[] | Exclude<CreditingOutcome, CommandOutcome> {
  const digits = minorUnitDigits(invoice.currency as Currency)
  const asked = new Map<string, Decimal>()
  const notes: InvoiceLine[] = []
  for (const [index, { line: id, amount }] of lines.entries()) {
    const line = invoice.lines.find((one) => one.id === id)
    if (line === undefined) return { kind: 'unknownLine', index }
    if (isZero(amount) || isNegative(amount)) return { kind: 'notPositive', index }
    if (amount.scale > digits) return { kind: 'tooManyDigits', index, digitsMax: digits }
    const before = credited.parts.find((part) => part.line === id)?.amount ?? ZERO
    const left = subtract(decimal(line.amount), add(before, asked.get(id) ?? ZERO))
    if (compare(amount, left) > 0) return { kind: 'exceedsLine', index, left: toFixedText(left) }
    asked.set(id, add(asked.get(id) ?? ZERO, amount))
    notes.push({
      ...line,
      id: lineId(id, credited.notes, index),
      kind: 'credit',
      quantity: '0',
      amount: toFixedText({
        coefficient: amount.coefficient * 10n ** BigInt(digits - amount.scale),
        scale: digits,
      }),
      exactAmount: toText(amount),
      explanation: `${reason}: ${toText(amount)} ${invoice.currency} of ${line.amount} on ${invoice.number ?? ''}`,
      steps: [],
      usage: null,
      corrects: [credited.number],
      correctsLine: id,
    })
  }
  return notes
}

/** Of the line and how many credit notes its invoice had: the same however often it is computed. */
function lineId(line: string, notes: number, index: number): string {
  return makeId('lin', 0, Buffer.from(sha256Hex([line, notes, index].join('\0')), 'hex'))
}
