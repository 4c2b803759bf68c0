import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PRORATION_CONVENTIONS, type ProrationConvention } from '../../src/catalog/price.ts'
import type { PlanKey } from '../../src/id/ids.ts'
import type { BillablePrice, BillableSubscription } from '../../src/invoice/billable.ts'
import { chargesThrough } from '../../src/invoice/charge.ts'
import { rateCharge } from '../../src/invoice/rated-charge.ts'
import type { Currency } from '../../src/money/currency.ts'
import { add, toFixedText, ZERO } from '../../src/money/decimal.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'
import { ACME, aPlan, aPrice, aSubscription, fakeInvoicing, instant, TENANT } from '../support/invoicing.ts'

const USD = 'USD' as Currency

function fee(amount: string, proration: ProrationConvention): BillablePrice {
  return aPrice('base', { price: { model: 'flat', amount }, proration })
}

/** A subscription whose plans have these prices, each from its instant on. */
function changing(
  changes: readonly { readonly at: Instant; readonly price: BillablePrice }[],
): BillableSubscription {
  const phases = changes.map(({ at, price }, i) => ({
    start: at,
    end: changes[i + 1]?.at ?? null,
    plan: aPlan([price], { key: `plan-${i % 2}` as PlanKey, version: i + 1 }),
  }))
  const [first] = phases
  if (first === undefined) throw new Error('no phase')
  return { ...aSubscription(first.plan, '2023-01-01'), startsAt: first.start, phases }
}

function amountsOf(subscription: BillableSubscription, through: Instant): readonly string[] {
  return chargesThrough(subscription, through).map((charge) => {
    const rating = rateCharge(charge, null, USD)
    if (rating.kind === 'refused') throw new Error(rating.error.detail)
    return toFixedText(rating.rated.amount)
  })
}

describe('a fee for a part of its period', () => {
  it.each([
    ['actualDays', '16.13', '25 of 31 days: 16.13 USD'],
    ['fixed30', '16.00', '24 of 30 days, with months of 30 days: 16.00 USD'],
    ['thirty360', '16.00', '24 of 30 days by 30E/360: 16.00 USD'],
    ['second', '15.81', '2116800 of 2678400 seconds: 15.81 USD'],
    ['none', '20.00', 'a part is charged as the whole: 20.00 USD'],
  ] as const)('is shared out by %s and says so on the invoice', async (proration, amount, words) => {
    const subscription = changing([{ at: instant('2023-01-07T12:00:00Z'), price: fee('20.00', proration) }])
    const outcome = await fakeInvoicing({
      subscriptions: [subscription],
      now: () => '2023-02-01T01:00:00Z',
    }).close({ tenant: TENANT, customer: ACME, periodEnd: instant('2023-02-01') })
    if (outcome.kind !== 'finalized') throw new Error(outcome.kind)
    expect(outcome.invoice.lines).toMatchObject([{ amount }])
    expect(outcome.invoice.lines[0]?.explanation).toBe(`flat amount = 20; total 20.00 USD; ${words}`)
  })

  it('counts milliseconds where the change is not at a whole second', () => {
    const subscription = changing([
      { at: instantOf(instant('2023-01-31') + 1), price: fee('20.00', 'second') },
    ])
    const [charge] = chargesThrough(subscription, instant('2023-02-01'))
    if (charge === undefined) throw new Error('no charge')
    const rating = rateCharge(charge, null, USD)
    if (rating.kind === 'refused') throw new Error(rating.error.detail)
    expect(rating.rated.explanation).toContain('86399999 of 2678400000 milliseconds: 0.65 USD')
  })

  it('is charged once a period without proration, however many equal fees follow each other', () => {
    const once = [
      { at: instant('2023-01-01'), price: fee('20.00', 'none') },
      { at: instant('2023-01-10'), price: fee('20.00', 'none') },
    ]
    expect(amountsOf(changing(once), instant('2023-02-01'))).toEqual(['20.00', '0.00'])
    const dearer = [...once, { at: instant('2023-01-20'), price: fee('30.00', 'none') }]
    expect(amountsOf(changing(dearer), instant('2023-02-01'))).toEqual(['20.00', '0.00', '30.00'])
  })

  it('is charged whole on a day that 30E/360 does not count', () => {
    const price = fee('1.00', 'thirty360')
    const plan = aPlan([price], { interval: 'day' })
    const amounts = amountsOf(aSubscription(plan, '2023-01-29'), instant('2023-02-02'))
    expect(amounts).toEqual(['1.00', '1.00', '1.00', '1.00'])
  })

  it('adds up to the whole fee to the cent, by every convention and however often the plan changes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...PRORATION_CONVENTIONS),
        fc.integer({ min: 0, max: 100_000 }),
        fc.integer({ min: 0, max: 11 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 28 * 86_400_000 - 1 }), { maxLength: 6 }),
        (proration, cents, month, offsets) => {
          const start = instant(`2023-${String(month + 1).padStart(2, '0')}-01`)
          const whole = toFixedText({ coefficient: BigInt(cents), scale: 2 })
          const price = fee(whole, proration)
          const at = [0, ...offsets.toSorted((a, b) => a - b)].map((ms) => instantOf(start + ms))
          const subscription = changing(at.map((one) => ({ at: one, price })))
          const next = chargesThrough(subscription, instantOf(start + 31 * 86_400_000))
          const ofMonth = next.filter(({ service }) => service.start < start + 28 * 86_400_000)
          const sum = ofMonth.reduce((total, charge) => {
            const rating = rateCharge(charge, null, USD)
            if (rating.kind === 'refused') throw new Error(rating.error.detail)
            return add(total, rating.rated.amount)
          }, ZERO)
          expect(ofMonth.length).toBe(at.length)
          expect(toFixedText(sum)).toBe(whole)
        },
      ),
    )
  })
})

describe('what is agreed for a whole period of a metered price', () => {
  it.each([
    [{ minimum: '31' }, '25.00', 'up to the minimum of 25 = 25; total 25.00 USD; minimum: 25 of 31 days'],
    [
      { commitment: { amount: '62', trueUp: true }, proration: 'fixed30' },
      '49.60',
      'up to the commitment of 49.6 = 49.6; total 49.60 USD; commitment: 24 of 30 days, with months of 30 days',
    ],
    [{}, '0.00', ''],
  ] as const)('%j holds for its share of a part', (terms, amount, words) => {
    const price = aPrice('calls', { price: { model: 'unit', unitAmount: '1' }, ...terms }, { meter: 'calls' })
    const subscription = changing([{ at: instant('2023-01-07'), price }])
    const [charge] = chargesThrough(subscription, instant('2023-02-01'))
    if (charge === undefined) throw new Error('no charge')
    const none = { meterRevision: 1, quantity: ZERO, groups: [], events: 0, root: null }
    const rating = rateCharge(charge, none, USD)
    if (rating.kind === 'refused') throw new Error(rating.error.detail)
    expect(toFixedText(rating.rated.amount)).toBe(amount)
    expect(rating.rated.explanation).toContain(words)
  })
})
