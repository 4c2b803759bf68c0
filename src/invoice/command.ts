import { add, compare, type Decimal, decimal, isZero, round, toFixedText } from '../money/decimal.ts'
import { type Currency, minorUnitDigits } from '../money/currency.ts'
import type { Instant } from '../time/instant.ts'
import { INVOICE_NOTICES, type InvoiceState } from './lifecycle.ts'
import type { CommandOutcome, InvoiceCommand, NewPayment, Payment } from './receivable-ports.ts'
import { decide, type Receivable, type ReceivableDecision } from './receivable.ts'

/** An invoice as a command finds it, locked. */
export interface HeldInvoice {
  readonly currency: Currency
  readonly receivable: Receivable
  readonly payments: readonly (Payment & { readonly idempotencyKey: string | null })[]
}

/** Something that is told of an invoice, in the order in which it is told. */
export interface Notice {
  readonly event: string
  readonly detail: Readonly<Record<string, string>>
}

/** All that a command changes; a store writes it in one transaction. */
export interface CommandEffects {
  readonly receivable: Receivable
  /** Change of the customer's credit. */
  readonly toBalance: Decimal
  readonly balanceReason: string
  readonly recorded: { readonly payment: NewPayment; readonly applied: Decimal } | null
  readonly returned: { readonly payment: string; readonly at: Instant; readonly reason: string | null } | null
  readonly rebill: boolean
  readonly notices: readonly Notice[]
}

export type CommandPlan =
  | { readonly kind: 'effects'; readonly effects: CommandEffects }
  /** The payment of that idempotency key: nothing is done again. */
  | { readonly kind: 'repeated'; readonly payment: Payment }
  | Exclude<CommandOutcome, { readonly kind: 'done' | 'unknownInvoice' }>

/** What a command would change. Pure: a store reads, asks, and writes. */
export function planCommand(held: HeldInvoice, command: InvoiceCommand, at: Instant): CommandPlan {
  switch (command.kind) {
    case 'pay':
      return planPayment(held, command.payment)
    case 'returnPayment':
      return planReturn(held, command.payment, command.reason, at)
    case 'void':
      return plan(held, decide(held.receivable, { kind: 'void' }), {
        balanceReason: 'the invoice that it paid was voided',
        rebill: command.rebill,
        detail: reasonDetail(command.reason),
      })
    case 'writeOff':
      return plan(held, decide(held.receivable, { kind: 'writeOff' }), {
        balanceReason: '',
        detail: reasonDetail(command.reason),
      })
  }
}

/** What a credit note changes about the invoice that it corrects. */
export function planCredit(
  held: HeldInvoice,
  total: Decimal,
  creditNote: string,
):
  | { readonly kind: 'effects'; readonly effects: CommandEffects; readonly applied: Decimal }
  | Exclude<ReceivableDecision, { readonly kind: 'changed' }> {
  const decision = decide(held.receivable, { kind: 'credit', total })
  if (decision.kind !== 'changed') return decision
  const planned = plan(held, decision, {
    balanceReason: `credited by ${creditNote}`,
    detail: { creditNote, total: amountText(total, held.currency) },
    before: [
      { event: INVOICE_NOTICES.credit, detail: { creditNote, total: amountText(total, held.currency) } },
    ],
  })
  if (planned.kind !== 'effects') throw new Error(`a legal credit came out as ${planned.kind}`)
  return { ...planned, applied: decision.applied }
}

function planPayment(held: HeldInvoice, payment: NewPayment): CommandPlan {
  const key = payment.idempotencyKey
  const repeated = key === null ? undefined : held.payments.find((one) => one.idempotencyKey === key)
  if (repeated !== undefined) {
    const isSame = compare(decimal(repeated.amount), payment.amount) === 0
    return isSame ? { kind: 'repeated', payment: repeated } : { kind: 'keyReused' }
  }
  const decision = decide(held.receivable, { kind: 'pay', amount: payment.amount })
  return plan(held, decision, {
    balanceReason: `overpaid by ${payment.id}`,
    recorded: payment,
    detail: { payment: payment.id, amount: amountText(payment.amount, held.currency) },
  })
}

function planReturn(held: HeldInvoice, id: string, reason: string | null, at: Instant): CommandPlan {
  const payment = held.payments.find((one) => one.id === id && one.kind === 'manual')
  if (payment === undefined) return { kind: 'unknownPayment' }
  if (payment.returnedAt !== null) return { kind: 'alreadyReturned', payment }
  const decision = decide(held.receivable, {
    kind: 'returnPayment',
    applied: decimal(payment.applied),
    toBalance: decimal(payment.toBalance),
  })
  return plan(held, decision, {
    balanceReason: `${id} was returned`,
    returned: { payment: id, at, reason },
    detail: { payment: id, ...reasonDetail(reason) },
  })
}

function plan(
  held: HeldInvoice,
  decision: ReceivableDecision,
  more: {
    readonly balanceReason: string
    readonly detail: Readonly<Record<string, string>>
    readonly recorded?: NewPayment
    readonly returned?: CommandEffects['returned']
    readonly rebill?: boolean
    readonly before?: readonly Notice[]
  },
): CommandPlan {
  if (decision.kind !== 'changed') return decision
  const { receivable, toBalance, applied, event } = decision
  const wasWrittenOff = held.receivable.state === 'uncollectible' && receivable.state === 'paid'
  const own: Notice[] = event === 'credit' ? [] : [{ event: INVOICE_NOTICES[event], detail: more.detail }]
  const recovered: Notice[] = wasWrittenOff ? [{ event: 'bad_debt.recovered', detail: more.detail }] : []
  return {
    kind: 'effects',
    effects: {
      receivable,
      toBalance,
      balanceReason: more.balanceReason,
      recorded: more.recorded === undefined ? null : { payment: more.recorded, applied },
      returned: more.returned ?? null,
      rebill: more.rebill ?? false,
      notices: [...(more.before ?? []), ...own, ...recovered],
    },
  }
}

/** What is told when an invoice is finalized; one with nothing to pay is paid at once. */
export function finalizedNotices(number: string, state: InvoiceState): readonly Notice[] {
  const finalized = { event: INVOICE_NOTICES.finalize, detail: { number } }
  return state === 'paid' ? [finalized, { event: INVOICE_NOTICES.settle, detail: { number } }] : [finalized]
}

/** A stored amount with its currency's digits. */
export function amountText(amount: Decimal, currency: Currency): string {
  return toFixedText(round(amount, minorUnitDigits(currency)))
}

/** Sums an invoice's payments that count: without and with customer credit. */
export function paidBy(payments: readonly Pick<Payment, 'kind' | 'applied' | 'returnedAt'>[]): {
  readonly manual: Decimal
  readonly balance: Decimal
} {
  let manual = decimal('0')
  let balance = decimal('0')
  for (const { kind, applied, returnedAt } of payments) {
    if (returnedAt !== null) continue
    if (kind === 'manual') manual = add(manual, decimal(applied))
    else balance = add(balance, decimal(applied))
  }
  return { manual, balance }
}

export function isChange(amount: Decimal): boolean {
  return !isZero(amount)
}

function reasonDetail(reason: string | null): Readonly<Record<string, string>> {
  return reason === null ? {} : { reason }
}
