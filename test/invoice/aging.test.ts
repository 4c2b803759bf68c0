import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AgedInvoice, agingAt, openAt } from '../../src/invoice/aging.ts'
import { add, type Decimal, decimal, toText, ZERO } from '../../src/money/decimal.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'

const day = (n: number): Instant => instantOf(n * 86_400_000)

function anInvoice(total: string, dueDay: number, parts: Partial<AgedInvoice> = {}): AgedInvoice {
  return {
    total: decimal(total),
    finalizedAt: day(0),
    dueAt: day(dueDay),
    settlements: [],
    voidedAt: null,
    writtenOffAt: null,
    ...parts,
  }
}

function aging(invoices: readonly AgedInvoice[], asOf: number, unapplied = '0'): Record<string, string> {
  const of = agingAt(invoices, decimal(unapplied), day(asOf), 'UTC')
  return Object.fromEntries(
    Object.entries(of)
      .map(([column, amount]: [string, Decimal]) => [column, toText(amount)] as const)
      .filter(([, amount]) => amount !== '0'),
  )
}

describe('receivables by age', () => {
  it('stand in the column of the days past due; the due day itself is current', () => {
    const of = (asOf: number): object => aging([anInvoice('10', 100)], asOf)
    expect(of(100)).toEqual({ current: '10', net: '10' })
    expect(of(101)).toEqual({ days1To30: '10', net: '10' })
    expect(of(130)).toEqual({ days1To30: '10', net: '10' })
    expect(of(131)).toEqual({ days31To60: '10', net: '10' })
    expect(of(190)).toEqual({ days61To90: '10', net: '10' })
    expect(of(191)).toEqual({ daysOver90: '10', net: '10' })
  })

  it('are what is open at the instant, whatever happened later', () => {
    const paid = anInvoice('100', 10, {
      settlements: [
        { at: day(20), amount: decimal('40') },
        { at: day(50), amount: decimal('60') },
      ],
    })
    expect([10, 20, 50].map((n) => toText(openAt(paid, day(n))))).toEqual(['100', '60', '0'])
    expect(aging([paid], 49)).toEqual({ days31To60: '60', net: '60' })
    expect(aging([paid], 50)).toEqual({})
  })

  it('leave out what was not yet final, what is void, and what is a bad debt', () => {
    const invoices = [
      anInvoice('1', 10, { finalizedAt: day(30) }),
      anInvoice('2', 10, { voidedAt: day(20) }),
      anInvoice('4', 10, { writtenOffAt: day(20) }),
    ]
    expect(aging(invoices, 19)).toEqual({ days1To30: '6', net: '6' })
    expect(aging(invoices, 25)).toEqual({ badDebt: '4' })
  })

  it('add up: each open invoice stands in one column, money that is not applied is taken off', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(10_000), fc.nat(200)), { maxLength: 20 }),
        fc.nat(300),
        (given, asOf) => {
          const invoices = given.map(([total, due]) => anInvoice(String(total), due))
          const of = agingAt(invoices, decimal('5'), day(asOf), 'UTC')
          const columns = [of.current, of.days1To30, of.days31To60, of.days61To90, of.daysOver90]
          const sum = given.reduce((all, [total]) => all + total, 0)
          expect(toText(columns.reduce(add, ZERO))).toBe(String(sum))
          expect(toText(of.net)).toBe(String(sum - 5))
        },
      ),
    )
  })
})
