import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  INVOICE_EVENTS,
  INVOICE_STATES,
  type InvoiceState,
  isIssued,
  nextState,
} from '../../src/invoice/lifecycle.ts'
import {
  amountDue,
  beginReceivable,
  decide,
  type Receivable,
  type ReceivableCommand,
} from '../../src/invoice/receivable.ts'
import {
  add,
  compare,
  decimal,
  type Decimal,
  isNegative,
  subtract,
  toFixedText,
  ZERO,
} from '../../src/money/decimal.ts'

/** Section 2.2, every legal pair; whatever is not here is illegal. */
const LEGAL: readonly (readonly [InvoiceState, (typeof INVOICE_EVENTS)[number], InvoiceState])[] = [
  ['gathering', 'gather', 'draft'],
  ['draft', 'recompute', 'draft'],
  ['draft', 'delete', 'deleted'],
  ['draft', 'finalize', 'finalized'],
  ['draft', 'awaitTax', 'taxPending'],
  ['draft', 'refuse', 'invalid'],
  ['taxPending', 'finalize', 'finalized'],
  ['invalid', 'finalize', 'finalized'],
  ['finalized', 'settle', 'paid'],
  ['finalized', 'applyPayment', 'finalized'],
  ['finalized', 'returnPayment', 'finalized'],
  ['finalized', 'void', 'void'],
  ['finalized', 'writeOff', 'uncollectible'],
  ['finalized', 'credit', 'finalized'],
  ['paid', 'reopen', 'finalized'],
  ['paid', 'credit', 'paid'],
  ['uncollectible', 'settle', 'paid'],
  ['uncollectible', 'void', 'void'],
]

const cents = (coefficient: number): Decimal => ({ coefficient: BigInt(coefficient), scale: 2 })

describe('the states of an invoice', () => {
  it('INV-41: every pair of state and event is either in the table or refused', () => {
    for (const state of INVOICE_STATES) {
      for (const event of INVOICE_EVENTS) {
        const legal = LEGAL.find(([from, on]) => from === state && on === event)
        expect(nextState(state, event), `${state} ${event}`).toBe(legal?.[2] ?? null)
      }
    }
  })

  it('I2: what was issued never goes back to what was not', () => {
    for (const [from, , to] of LEGAL) if (isIssued(from)) expect(isIssued(to)).toBe(true)
  })
})

const COMMANDS: readonly ReceivableCommand[] = [
  { kind: 'pay', amount: decimal('10.00') },
  { kind: 'pay', amount: decimal('1.00') },
  { kind: 'returnPayment', applied: ZERO, toBalance: ZERO },
  { kind: 'void' },
  { kind: 'writeOff' },
  { kind: 'credit', total: decimal('10.00') },
  { kind: 'credit', total: decimal('1.00') },
]
const EVENTS_OF = {
  pay: ['settle', 'applyPayment'],
  returnPayment: ['reopen', 'returnPayment'],
  void: ['void'],
  writeOff: ['writeOff'],
  credit: ['credit', 'settle'],
} as const

describe('commands on an invoice', () => {
  it('INV-41: a command that the state does not know changes nothing, in every state', () => {
    for (const state of INVOICE_STATES) {
      for (const command of COMMANDS) {
        const receivable = fresh(state)
        const decision = decide(receivable, command)
        const isKnown = EVENTS_OF[command.kind].some((event) => nextState(state, event) !== null)
        if (!isKnown) expect(decision.kind, `${state} ${command.kind}`).toBe('illegal')
        if (decision.kind === 'changed') {
          expect(nextState(state, decision.event)).toBe(decision.receivable.state)
        }
      }
    }
  })

  it('INV-16 and INV-17: what is due is total less payments and credit, never below zero, and no money is lost', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -5000, max: 20_000 }),
        fc.integer({ min: 0, max: 5000 }),
        history(),
        (total, balance, steps) => {
          const begun = beginReceivable(cents(total), cents(balance))
          let receivable = begun.receivable
          let credit = add(cents(balance), begun.toBalance)
          let received = ZERO
          let credited = ZERO
          const payments: { applied: Decimal; toBalance: Decimal }[] = []
          for (const [what, amount] of steps) {
            const payment = payments.at(-1)
            if (what === 'returnPayment' && payment === undefined) continue
            const command: ReceivableCommand =
              what === 'pay'
                ? { kind: 'pay', amount: cents(amount) }
                : what === 'credit'
                  ? { kind: 'credit', total: cents(amount) }
                  : what === 'returnPayment'
                    ? {
                        kind: 'returnPayment',
                        applied: payment?.applied ?? ZERO,
                        toBalance: payment?.toBalance ?? ZERO,
                      }
                    : { kind: what }
            const before = receivable
            const decision = decide(receivable, command)
            if (decision.kind !== 'changed') {
              expect(receivable).toBe(before)
              continue
            }
            receivable = decision.receivable
            credit = add(credit, decision.toBalance)
            if (what === 'pay') {
              payments.push({ applied: decision.applied, toBalance: decision.toBalance })
              received = add(received, cents(amount))
            }
            if (what === 'returnPayment') {
              payments.pop()
              received = subtract(received, add(payment?.applied ?? ZERO, payment?.toBalance ?? ZERO))
            }
            if (what === 'credit') credited = add(credited, cents(amount))
            expect(isNegative(amountDue(receivable))).toBe(false)
            expect(compare(receivable.creditNoted, receivable.total)).not.toBe(1)
            if (receivable.state === 'finalized') {
              const parts = add(add(receivable.paid, receivable.paidFromBalance), receivable.credited)
              expect(toFixedText(add(amountDue(receivable), parts))).toBe(toFixedText(receivable.total))
            }
          }
          // Conservation: what came in or was given back settles the invoice or is the customer's credit.
          const held = add(add(receivable.paid, receivable.paidFromBalance), receivable.credited)
          const negative = total < 0 ? cents(-total) : ZERO
          const sources = add(add(add(received, credited), cents(balance)), negative)
          expect(compare(add(held, credit), sources)).toBe(0)
        },
      ),
      { numRuns: 2000 },
    )
  })
})

function fresh(state: InvoiceState): Receivable {
  const { receivable } = beginReceivable(decimal('10.00'), ZERO)
  return { ...receivable, state, paid: state === 'paid' ? decimal('10.00') : ZERO }
}

function history() {
  const what = fc.constantFrom('pay', 'credit', 'returnPayment', 'void', 'writeOff')
  return fc.array(fc.tuple(what, fc.integer({ min: 1, max: 12_000 })), { maxLength: 12 })
}
