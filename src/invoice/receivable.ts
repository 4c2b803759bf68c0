import {
  add,
  compare,
  type Decimal,
  isNegative,
  isZero,
  maximum,
  minimum,
  negate,
  subtract,
  ZERO,
} from '../money/decimal.ts'
import { type InvoiceEvent, type InvoiceState, nextState } from './lifecycle.ts'

/** What is owed on a finalized invoice and what became of it. Decimals in the currency's digits. */
export interface Receivable {
  readonly state: InvoiceState
  readonly total: Decimal
  /** Payments applied and not returned, without customer credit. */
  readonly paid: Decimal
  /** Customer credit that was applied as a payment. */
  readonly paidFromBalance: Decimal
  /** What credit notes took off the amount due. */
  readonly credited: Decimal
  /** Totals of all credit notes, what went to the customer's credit included. */
  readonly creditNoted: Decimal
}

export type ReceivableCommand =
  | { readonly kind: 'pay'; readonly amount: Decimal }
  /** `applied` and `toBalance` are what the payment did when it was recorded. */
  | { readonly kind: 'returnPayment'; readonly applied: Decimal; readonly toBalance: Decimal }
  | { readonly kind: 'void' }
  | { readonly kind: 'writeOff' }
  | { readonly kind: 'credit'; readonly total: Decimal }

export type ReceivableDecision =
  | {
      readonly kind: 'changed'
      readonly event: InvoiceEvent
      readonly receivable: Receivable
      /** What of the command's amount was applied to this invoice. */
      readonly applied: Decimal
      /** Change of the customer's credit; below zero takes from it. */
      readonly toBalance: Decimal
    }
  /** The state does not know the command. Nothing happens. */
  | { readonly kind: 'illegal'; readonly state: InvoiceState; readonly event: InvoiceEvent }
  | { readonly kind: 'guarded'; readonly guard: ReceivableGuard }

export type ReceivableGuard =
  /** Money was applied: a credit note is the way. */
  | 'paymentsApplied'
  /** It was corrected already: another credit note is the way. */
  | 'creditNotesIssued'
  /** Credit notes would be more than the invoice. */
  | 'exceedsTotal'
  /** A written-off invoice is settled in whole or stays written off. */
  | 'partOfWrittenOff'

/** Total, what was paid and what was credited: the rest, never below zero. What is void owes nothing. */
export function amountDue({ state, total, paid, paidFromBalance, credited }: Receivable): Decimal {
  if (state === 'void' || state === 'paid' || state === 'uncollectible') return ZERO
  return maximum(subtract(total, add(add(paid, paidFromBalance), credited)), ZERO)
}

/** How an invoice begins: nothing to pay settles it at once, and less than nothing becomes the customer's credit. */
export function beginReceivable(
  total: Decimal,
  balance: Decimal,
): { readonly receivable: Receivable; readonly toBalance: Decimal } {
  const open: Receivable = {
    state: 'finalized',
    total,
    paid: ZERO,
    paidFromBalance: ZERO,
    credited: ZERO,
    creditNoted: ZERO,
  }
  if (isZero(total) || isNegative(total)) {
    return { receivable: { ...open, state: 'paid' }, toBalance: negate(total) }
  }
  const taken = minimum(maximum(balance, ZERO), total)
  const state = compare(taken, total) === 0 ? 'paid' : 'finalized'
  return { receivable: { ...open, state, paidFromBalance: taken }, toBalance: negate(taken) }
}

/** What a command does to an invoice. Total over states and commands; pure. */
export function decide(receivable: Receivable, command: ReceivableCommand): ReceivableDecision {
  switch (command.kind) {
    case 'pay':
      return pay(receivable, command.amount)
    case 'returnPayment':
      return returnPayment(receivable, command)
    case 'void':
      return voidIt(receivable)
    case 'writeOff':
      return move(receivable, 'writeOff', {}, ZERO, ZERO)
    case 'credit':
      return credit(receivable, command.total)
  }
}

function pay(receivable: Receivable, amount: Decimal): ReceivableDecision {
  const owed = owedOn(receivable)
  const applied = minimum(amount, owed)
  const covers = compare(applied, owed) === 0
  if (receivable.state === 'uncollectible' && !covers) return { kind: 'guarded', guard: 'partOfWrittenOff' }
  const paid = add(receivable.paid, applied)
  return move(receivable, covers ? 'settle' : 'applyPayment', { paid }, applied, subtract(amount, applied))
}

function returnPayment(
  receivable: Receivable,
  { applied, toBalance }: { readonly applied: Decimal; readonly toBalance: Decimal },
): ReceivableDecision {
  const paid = subtract(receivable.paid, applied)
  const event = receivable.state === 'paid' ? 'reopen' : 'returnPayment'
  return move(receivable, event, { paid }, applied, negate(toBalance))
}

function voidIt(receivable: Receivable): ReceivableDecision {
  if (nextState(receivable.state, 'void') !== null) {
    if (!isZero(receivable.paid)) return { kind: 'guarded', guard: 'paymentsApplied' }
    if (!isZero(receivable.creditNoted)) return { kind: 'guarded', guard: 'creditNotesIssued' }
  }
  return move(receivable, 'void', { paidFromBalance: ZERO }, ZERO, receivable.paidFromBalance)
}

/** A credit note first takes off what is due; the rest is money that the customer has paid already. */
function credit(receivable: Receivable, total: Decimal): ReceivableDecision {
  const creditNoted = add(receivable.creditNoted, total)
  if (nextState(receivable.state, 'credit') !== null && compare(creditNoted, receivable.total) > 0) {
    return { kind: 'guarded', guard: 'exceedsTotal' }
  }
  const owed = receivable.state === 'finalized' ? owedOn(receivable) : ZERO
  const applied = minimum(total, owed)
  const credited = add(receivable.credited, applied)
  const settles = receivable.state === 'finalized' && compare(applied, owed) === 0
  return move(
    receivable,
    settles ? 'settle' : 'credit',
    { credited, creditNoted },
    applied,
    subtract(total, applied),
  )
}

/** What is not paid or credited, a write-off or not. */
function owedOn({ total, paid, paidFromBalance, credited }: Receivable): Decimal {
  return maximum(subtract(total, add(add(paid, paidFromBalance), credited)), ZERO)
}

function move(
  receivable: Receivable,
  event: InvoiceEvent,
  change: Partial<Receivable>,
  applied: Decimal,
  toBalance: Decimal,
): ReceivableDecision {
  const state = nextState(receivable.state, event)
  if (state === null) return { kind: 'illegal', state: receivable.state, event }
  return { kind: 'changed', event, receivable: { ...receivable, ...change, state }, applied, toBalance }
}
