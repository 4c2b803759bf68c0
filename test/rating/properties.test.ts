import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ChargeTerms, SimplePrice } from '../../src/catalog/price.ts'
import { type Currency, minorUnitDigits, parseCurrency } from '../../src/money/currency.ts'
import { add, compare, type Decimal, isZero, subtract, toText, ZERO } from '../../src/money/decimal.ts'
import { explain } from '../../src/rating/explain.ts'
import { rate } from '../../src/rating/rate.ts'
import { sumOfLines } from '../../src/rating/rated-line.ts'
import type { Rated } from '../../src/rating/rating-outcome.ts'
import type { RatingRequest } from '../../src/rating/rating-request.ts'
import { anyPrice, bareTerms, PRICES, quantities, termsWith } from './arbitraries.ts'
import { chargeOf, type Fraction, fraction, isEqual, roundedHalfAway } from './oracle.ts'

const CURRENCIES = ['USD', 'JPY', 'KWD', 'CLF'].map((code) => parseCurrency(code) as Currency)
const currencies = fc.constantFrom(...CURRENCIES)

function rated(request: RatingRequest): Rated {
  const outcome = rate(request)
  if (outcome.kind === 'refused') throw new Error(outcome.error.detail)
  return outcome
}

/** What the oracle wants of a period, or of the part after `previous`. */
function wanted(
  terms: ChargeTerms,
  digits: number,
  quantity: Decimal,
  previous: Decimal = ZERO,
): { readonly exact: Fraction; readonly rounded: bigint } {
  const now = chargeOf(terms, fraction(add(quantity, previous)))
  if (isZero(previous)) return { exact: now, rounded: roundedHalfAway(now, digits) }
  const before = chargeOf(terms, fraction(previous))
  return {
    exact: { n: now.n * before.d - before.n * now.d, d: now.d * before.d },
    rounded: roundedHalfAway(now, digits) - roundedHalfAway(before, digits),
  }
}

describe.each(Object.entries(PRICES))('a %s price', (_, prices) => {
  it('I1: comes to what the definition says, with discounts, bounds, commitment and an earlier part', () => {
    fc.assert(
      fc.property(
        termsWith(prices),
        quantities,
        fc.option(quantities, { nil: undefined }),
        currencies,
        (terms, quantity, previousQuantity, currency) => {
          const digits = minorUnitDigits(currency)
          const outcome = rated({
            ...terms,
            currency,
            quantity,
            ...(previousQuantity === undefined ? {} : { previousQuantity }),
          })
          const oracle = wanted(terms, digits, quantity, previousQuantity)
          expect(outcome.amount).toEqual({ coefficient: oracle.rounded, scale: digits })
          expect(isEqual(fraction(outcome.exactAmount), oracle.exact)).toBe(true)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('I2: has lines that add up to its exact amount, each quantity times unit amount or a difference of such', () => {
    fc.assert(
      fc.property(termsWith(prices), quantities, currencies, (terms, quantity, currency) => {
        const outcome = rated({ ...terms, currency, quantity })
        expect(compare(sumOfLines(outcome.lines), outcome.exactAmount)).toBe(0)
        for (const line of outcome.lines) {
          const { n, d } = fraction(line.amount)
          const [q, u] = [fraction(line.quantity), fraction(line.unitAmount)]
          expect(n * q.d * u.d).toBe(q.n * u.n * d)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('I3: bills parts of a period that add up to the whole to the cent, in however many parts', () => {
    fc.assert(
      fc.property(
        termsWith(prices),
        fc.array(quantities, { minLength: 2, maxLength: 6 }),
        currencies,
        fc.boolean(),
        (terms, parts, currency, openParts) => {
          // Without parts that say what they are, a quantity of 0 before means that nothing was billed before.
          fc.pre(openParts || !isZero(parts[0] ?? ZERO))
          let before: Decimal = ZERO
          let sum: Decimal = ZERO
          parts.forEach((quantity, i) => {
            const last = i === parts.length - 1
            const outcome = rated({
              ...terms,
              currency,
              quantity,
              ...(i === 0 ? {} : { previousQuantity: before }),
              ...(openParts ? { part: last ? 'closing' : 'open' } : {}),
            })
            sum = add(sum, outcome.amount)
            before = add(before, quantity)
          })
          const whole = rated({ ...terms, currency, quantity: before })
          expect(toText(sum)).toBe(toText(whole.amount))
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('every price', () => {
  const rising: readonly SimplePrice['model'][] = [
    'flat',
    'unit',
    'graduated',
    'package',
    'graduatedPercentage',
    'dynamic',
  ]

  it.each(rising)('I4: of model %s never falls when more is used', (model) => {
    fc.assert(
      fc.property(PRICES[model], quantities, quantities, (price, quantity, more) => {
        const currency = CURRENCIES[0] as Currency
        const of = (units: Decimal): Decimal =>
          rated({ ...bareTerms(price), currency, quantity: units }).exactAmount
        expect(compare(of(add(quantity, more)), of(quantity))).not.toBe(-1)
      }),
      { numRuns: 200 },
    )
  })

  it('I5: a discount never makes an amount negative, a maximum never raises it, a minimum never lowers it', () => {
    fc.assert(
      fc.property(termsWith(anyPrice), quantities, currencies, (terms, quantity, currency) => {
        const of = (changed: Partial<ChargeTerms>): Decimal =>
          rated({ ...terms, commitment: null, ...changed, currency, quantity }).exactAmount
        expect(compare(of({ minimum: null }), ZERO)).not.toBe(-1)
        expect(compare(of({ minimum: null }), of({ minimum: null, maximum: null }))).not.toBe(1)
        expect(compare(of({ maximum: null }), of({ minimum: null, maximum: null }))).not.toBe(-1)
      }),
      { numRuns: 200 },
    )
  })

  it('I6: takes back what it charged: units below zero cost what as many above would, without flat amounts', () => {
    fc.assert(
      fc.property(PRICES.unit, quantities, currencies, (price, quantity, currency) => {
        const back = { coefficient: -quantity.coefficient, scale: quantity.scale }
        const charge = rated({ ...bareTerms(price), currency, quantity })
        const credit = rated({ ...bareTerms(price), currency, quantity: back })
        expect(toText(add(charge.amount, credit.amount))).toBe('0')
      }),
    )
  })

  it('I7: gives the same outcome and the same words for the same request, always', () => {
    fc.assert(
      fc.property(termsWith(anyPrice), quantities, currencies, (terms, quantity, currency) => {
        const request = { ...terms, currency, quantity }
        const first = rated(request)
        const second = rated(structuredClone(request))
        expect(second).toEqual(first)
        const text = explain(first, request)
        expect(explain(second, request)).toBe(text)
        expect(text.endsWith(` ${currency}`)).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  it('I3: a change of quantity and its undoing come to nothing', () => {
    fc.assert(
      fc.property(
        termsWith(anyPrice),
        quantities,
        quantities,
        currencies,
        (terms, quantity, more, currency) => {
          const up = rated({ ...terms, currency, quantity: more, previousQuantity: quantity })
          const whole = add(quantity, more)
          const down = rated({
            ...terms,
            currency,
            quantity: subtract(quantity, whole),
            previousQuantity: whole,
          })
          if (!isZero(quantity)) expect(toText(add(up.amount, down.amount))).toBe('0')
        },
      ),
      { numRuns: 200 },
    )
  })
})
