import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LineTaxRate } from '../../src/invoice/invoice.ts'
import { type TaxableAmount, type TaxTerms, totalsOf, totalsOfPart } from '../../src/invoice/tax-lines.ts'
import { createTaxTables, NO_TABLES, type TableRate } from '../../src/invoice/tax-table.ts'
import type { PlanKey } from '../../src/id/ids.ts'
import type { Currency } from '../../src/money/currency.ts'
import { add, compare, decimal, type Decimal, isNegative, ZERO } from '../../src/money/decimal.ts'
import {
  fakeInvoicing,
  aCustomer,
  ACME,
  aSubscription,
  DEMO_USAGE,
  instant,
  llmApiPlan,
  TENANT,
} from '../support/invoicing.ts'

const VAT: LineTaxRate = { name: 'VAT', rate: '0.19', category: 'standard' }
const REDUCED: LineTaxRate = { name: 'VAT', rate: '0.07', category: 'standard' }
const CITY: LineTaxRate = { name: 'City', rate: '0.0125', category: 'standard' }
const EXCLUSIVE: TaxTerms = { behavior: 'exclusive', rounding: 'group' }
const taxed = (amount: string, ...rates: LineTaxRate[]): TaxableAmount => ({ amount: decimal(amount), rates })
const totals = (lines: readonly TaxableAmount[], terms: TaxTerms = EXCLUSIVE, currency = 'USD') =>
  totalsOf(lines, terms, currency as Currency)

describe('tax on the lines of a document', () => {
  it('D9 and TAX-008: is rounded once for each rate, or on each line', () => {
    const lines = Array.from({ length: 3 }, () => taxed('33.33', VAT))
    expect(totals([taxed('33.34', VAT), ...lines.slice(1)])).toMatchObject({ tax: '19.00', total: '119.00' })
    expect(totals(lines, { behavior: 'exclusive', rounding: 'line' })).toMatchObject({ tax: '18.99' })
  })

  it('keeps rates apart, and stacks those of one line on its own amount', () => {
    expect(
      totals([taxed('100.00', VAT), taxed('50.00', REDUCED), taxed('10.00'), taxed('20.00', VAT, CITY)]),
    ).toEqual({
      subtotal: '180.00',
      taxes: [
        { ...VAT, base: '120.00', amount: '22.80' },
        { ...REDUCED, base: '50.00', amount: '3.50' },
        { ...CITY, base: '20.00', amount: '0.25' },
      ],
      tax: '26.55',
      total: '206.55',
    })
  })

  it('takes inclusive tax out of the amounts', () => {
    expect(
      totals([taxed('119.00', VAT), taxed('5.00')], { behavior: 'inclusive', rounding: 'group' }),
    ).toEqual({
      subtotal: '105.00',
      taxes: [{ ...VAT, base: '100.00', amount: '19.00' }],
      tax: '19.00',
      total: '124.00',
    })
  })

  it("INV-15: total is subtotal and tax, tax is the sum of its breakdown, all in the currency's digits", () => {
    const line = fc.record({
      cents: fc.integer({ min: -100_000, max: 1_000_000 }),
      rates: fc.subarray([VAT, REDUCED, CITY]),
    })
    const terms = fc.record({
      behavior: fc.constantFrom('exclusive' as const, 'inclusive' as const),
      rounding: fc.constantFrom('group' as const, 'line' as const),
    })
    const currency = fc.constantFrom(['JPY', 0], ['USD', 2], ['KWD', 3]) as fc.Arbitrary<[string, number]>
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), terms, currency, (lines, given, [code, digits]) => {
        const result = totals(
          lines.map(({ cents, rates }) => ({ amount: { coefficient: BigInt(cents), scale: digits }, rates })),
          given,
          code,
        )
        const sum = result.taxes.reduce((all, { amount }) => add(all, decimal(amount)), ZERO)
        expect(compare(sum, decimal(result.tax))).toBe(0)
        expect(compare(add(decimal(result.subtotal), decimal(result.tax)), decimal(result.total))).toBe(0)
        for (const text of [result.subtotal, result.tax, result.total]) {
          expect(text.split('.')[1]?.length ?? 0).toBe(digits)
        }
      }),
    )
  })

  it('INV-17 and TAX-007: parts that are taken back never come to more tax than there was', () => {
    const parts = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 12 })
    const terms = fc.record({
      behavior: fc.constantFrom('exclusive' as const, 'inclusive' as const),
      rounding: fc.constantFrom('group' as const, 'line' as const),
    })
    fc.assert(
      fc.property(parts, terms, (cents, given) => {
        const whole = cents.reduce((sum, one) => sum + one, 0)
        const invoice = totals([{ amount: { coefficient: BigInt(whole), scale: 2 }, rates: [VAT] }], given)
        let before: TaxableAmount[] = []
        let tax: Decimal = ZERO
        let taken = 0
        for (const part of cents) {
          taken += part
          const own = { amount: { coefficient: BigInt(part), scale: 2 }, rates: [VAT] }
          const through = [{ amount: { coefficient: BigInt(taken), scale: 2 }, rates: [VAT] }]
          const result = totalsOfPart([own], before, through, given, 'USD' as Currency)
          expect(isNegative(decimal(result.tax))).toBe(false)
          tax = add(tax, decimal(result.tax))
          before = through
        }
        expect(compare(tax, decimal(invoice.tax))).toBe(0)
      }),
    )
  })
})

describe('rate tables', () => {
  const german = (rate: string, from: string | null, until: string | null): TableRate => ({
    country: 'DE',
    name: 'VAT',
    rate,
    category: 'standard',
    from: from === null ? null : instant(from),
    until: until === null ? null : instant(until),
  })
  const tables = {
    ...NO_TABLES,
    rates: [
      german('0.19', null, '2020-07-01'),
      german('0.16', '2020-07-01', '2021-01-01'),
      german('0.19', '2021-01-01', null),
    ],
    sellerCountry: 'DE',
    reverseChargeArea: new Set(['DE', 'FR']),
  }
  const ask = async (
    taxPoint: string,
    over: Parameters<typeof aCustomer>[0] = {},
    given: typeof NO_TABLES = tables,
  ) =>
    createTaxTables(given).determine({
      customer: aCustomer({ country: 'DE', ...over }),
      lines: [{ plan: 'p' as PlanKey, price: 'base', taxPoint: instant(taxPoint) }],
    })

  it('take the rate in force when the service ended', async () => {
    for (const [end, rate] of [
      ['2020-07-01', '0.19'],
      ['2020-08-01', '0.16'],
      ['2021-01-01', '0.16'],
      ['2021-02-01', '0.19'],
    ] as const) {
      expect(await ask(end), end).toMatchObject({ kind: 'determined', rates: [[{ rate }]] })
    }
  })

  it('leave the tax to a business in another country of the area', async () => {
    const billTo = { name: 'Acme SA', addressLines: [], taxId: 'FR123', email: null }
    expect(await ask('2023-12-01', { country: 'FR', billTo })).toMatchObject({
      rates: [[{ rate: '0', category: 'reverseCharge' }]],
      notes: [expect.stringContaining('Reverse charge') as string],
    })
    expect(await ask('2023-12-01', { billTo })).toMatchObject({ rates: [[{ rate: '0.19' }]] })
  })

  it('INV-40: an answer that is missing holds the finalization, and nothing is guessed', async () => {
    const holed = { ...tables, rates: [german('0.16', '2020-07-01', '2021-01-01')] }
    expect(await ask('2023-12-01', {}, holed)).toMatchObject({ kind: 'unavailable' })
    const invoicing = fakeInvoicing({
      customer: aCustomer({ country: 'DE' }),
      subscriptions: [aSubscription(llmApiPlan(), '2023-11-01')],
      events: DEMO_USAGE,
      tax: createTaxTables(holed),
    })
    const close = await invoicing.close({ tenant: TENANT, customer: ACME, periodEnd: instant('2023-12-01') })
    expect(close.kind).toBe('taxPending')
    const page = await invoicing.list(TENANT, { customer: null, state: null, limit: 1, after: null })
    expect(page.data).toEqual([])
  })

  it("leave a customer's own rates in force", async () => {
    const own = { taxRates: [{ name: 'GST', rate: decimal('0.05') }] }
    expect(await ask('2023-12-01', own)).toMatchObject({ rates: [[{ name: 'GST', rate: '0.05' }]] })
  })
})
