import type { ChargeTerms, SimplePrice, Tier } from '../src/catalog/price.ts'
import { type Currency, minorUnitDigits, parseCurrency } from '../src/money/currency.ts'
import { type Decimal, decimal, pow10, toText, ZERO } from '../src/money/decimal.ts'
import { rateText } from '../src/rating/rating-json.ts'
import { rate } from '../src/rating/rate.ts'
import type { Figure } from './figure.ts'

/**
 * Lines rated per second on one core, for each price model with 1, 10 and 1,000 tiers, beside the same arithmetic in bare
 * bigint over the same quantities in the same run: no lines, no checks, scales known beforehand.
 */
const currency = parseCurrency('USD') as Currency
const quantitiesCount = 1024
/** Short rounds by turns, so that what else the machine does meets both alike. */
const roundMs = 25
const roundsCount = 16
/** Scale of quantities and unit amounts here, so that the bare arithmetic needs no scales at all. */
const quantityScale = 6
const priceScale = 8

interface Case {
  readonly name: string
  readonly price: SimplePrice
  readonly bare: (quantity: bigint) => bigint
  /** Up to where quantities go. */
  readonly quantityMax: bigint
}

export function run(): Promise<readonly Figure[]> {
  const figures = cases().flatMap((one) => figuresOf(one))
  return Promise.resolve([...figures, ...jsonFigures(), ...memoryFigures()])
}

function figuresOf({ name, price, bare, quantityMax }: Case): Figure[] {
  const quantities = quantitiesTo(quantityMax)
  const terms = termsOf(price)
  const requests = quantities.map((coefficient) => ({
    ...terms,
    currency,
    quantity: { coefficient, scale: quantityScale },
  }))
  for (const [i, request] of requests.entries()) {
    const outcome = rate(request)
    const floor = bare(quantities[i] ?? 0n)
    if (outcome.kind !== 'rated' || outcome.amount.coefficient !== floor) {
      throw new Error(
        `${name}: ${outcome.kind === 'rated' ? toText(outcome.amount) : 'refused'} is not ${String(floor)}`,
      )
    }
  }
  let sink = 0n
  const { perSecond, floorPerSecond } = sideBySide(
    () => {
      for (const request of requests) {
        const outcome = rate(request)
        if (outcome.kind === 'rated') sink += outcome.amount.coefficient
      }
    },
    () => {
      for (const quantity of quantities) sink += bare(quantity)
    },
  )
  if (sink < 0n) throw new Error('nothing here is negative')
  const ratio = floorPerSecond / perSecond
  return [{ metric: `${name}: lines`, value: perSecond, unit: '/s/core', floor: floorPerSecond, ratio }]
}

/**
 * Turns about, so that both meet the same machine; time is the processor's, and the best round counts, for what disturbs
 * only slows down.
 */
function sideBySide(
  measured: () => void,
  floor: () => void,
): { readonly perSecond: number; readonly floorPerSecond: number } {
  let [best, bestFloor] = [0, 0]
  for (let round = 0; round < roundsCount; round++) {
    best = Math.max(best, rounds(measured))
    bestFloor = Math.max(bestFloor, rounds(floor))
  }
  return { perSecond: best, floorPerSecond: bestFloor }
}

function rounds(work: () => void): number {
  const start = process.cpuUsage()
  let count = 0
  let usedUs: number
  do {
    work()
    count += quantitiesCount
    const used = process.cpuUsage(start)
    usedUs = used.user + used.system
  } while (usedUs < roundMs * 1000)
  return (count * 1e6) / usedUs
}

/** From the line of NDJSON to the line of NDJSON, beside reading and writing JSON of the same size alone. */
function jsonFigures(): Figure[] {
  const lines = quantitiesTo(10n ** 12n).map((coefficient, i) =>
    JSON.stringify({
      id: i,
      currency: 'USD',
      quantity: toText({ coefficient, scale: quantityScale }),
      price: { model: 'unit', unitAmount: '0.0025' },
    }),
  )
  const answers = lines.map((line) => rateText(line))
  let sink = 0
  const { perSecond, floorPerSecond } = sideBySide(
    () => {
      for (const line of lines) sink += JSON.stringify(rateText(line)).length
    },
    () => {
      for (const [i, line] of lines.entries()) {
        sink += (JSON.parse(line) as { readonly id: number }).id
        sink += JSON.stringify(answers[i]).length
      }
    },
  )
  if (sink === 0) throw new Error('nothing was written')
  const ratio = floorPerSecond / perSecond
  return [
    { metric: 'rate, text to text, unit', value: perSecond, unit: '/s/core', floor: floorPerSecond, ratio },
  ]
}

function memoryFigures(): Figure[] {
  const quantities = quantitiesTo(10n ** 12n)
  const terms = termsOf({ model: 'unit', unitAmount: decimal('0.0025') })
  const linesCount = 100_000
  const before = process.memoryUsage().heapUsed
  const kept = Array.from({ length: linesCount }, (_, i) =>
    rate({
      ...terms,
      currency,
      quantity: { coefficient: quantities[i % quantitiesCount] ?? 0n, scale: quantityScale },
    }),
  )
  const bytes = (process.memoryUsage().heapUsed - before) / kept.length
  return [{ metric: 'memory of a rated line that is kept, unit', value: bytes, unit: 'bytes' }]
}

function termsOf(price: SimplePrice): ChargeTerms {
  return {
    price,
    conversion: null,
    discounts: [],
    minimum: null,
    maximum: null,
    commitment: null,
    proration: 'actualDays',
  }
}

/** The same quantities in each run. */
function quantitiesTo(max: bigint): bigint[] {
  let state = 88_172_645_463_325_252n
  return Array.from({ length: quantitiesCount }, () => {
    state ^= (state << 13n) & 0xffff_ffff_ffff_ffffn
    state ^= state >> 7n
    state ^= (state << 17n) & 0xffff_ffff_ffff_ffffn
    return (state % max) + 1n
  })
}

// --- the cases and their bare arithmetic ------------------------------------------------------------------------------

const unit = 10n ** BigInt(quantityScale)

function priced(coefficient: bigint): Decimal {
  return { coefficient, scale: priceScale }
}

/** To cents, half up, of an amount at the scale of quantity times price. */
function cents(amount: bigint): bigint {
  const divisor = pow10(quantityScale + priceScale - minorUnitDigits(currency))
  return (amount * 2n + divisor) / (divisor * 2n)
}

function tiersOf(count: number): {
  readonly tiers: (Tier & { readonly unitAmount: Decimal })[]
  readonly ends: bigint[]
  readonly prices: bigint[]
} {
  const ends = Array.from({ length: count - 1 }, (_, i) => BigInt(i + 1) * 1000n * unit)
  const prices = Array.from({ length: count }, (_, i) => 250_000n - BigInt(i))
  const tiers = prices.map((price, i) => ({
    upTo: i < count - 1 ? { coefficient: ends[i] ?? 0n, scale: quantityScale } : null,
    unitAmount: priced(price),
    flatAmount: null,
    packageSize: null,
  }))
  return { tiers, ends, prices }
}

function cases(): Case[] {
  const price = 250_000n
  const simple: Case[] = [
    {
      name: 'flat',
      price: { model: 'flat', amount: decimal('20.00') },
      bare: () => 2000n,
      quantityMax: 10n ** 12n,
    },
    {
      name: 'unit',
      price: { model: 'unit', unitAmount: priced(price) },
      bare: (quantity) => cents(quantity * price),
      quantityMax: 10n ** 12n,
    },
    {
      name: 'dynamic',
      price: { model: 'dynamic', multiplier: priced(price) },
      bare: (quantity) => cents(quantity * price),
      quantityMax: 10n ** 12n,
    },
    {
      name: 'package',
      price: { model: 'package', packageSize: decimal('1000'), amount: priced(price), freeUnits: ZERO },
      bare: (quantity) => cents(((quantity + 1000n * unit - 1n) / (1000n * unit)) * unit * price),
      quantityMax: 10n ** 15n,
    },
    {
      name: 'percentage',
      price: {
        model: 'percentage',
        rate: { coefficient: price, scale: priceScale - 2 },
        fixedAmount: ZERO,
        perEvent: null,
        freeUnits: ZERO,
        freeEvents: 0,
      },
      bare: (quantity) => cents(quantity * price),
      quantityMax: 10n ** 12n,
    },
  ]
  return [...simple, ...[1, 10, 1000].flatMap(tieredCases)]
}

function tieredCases(count: number): Case[] {
  const { tiers, ends, prices } = tiersOf(count)
  const quantityMax = BigInt(count) * 1000n * unit
  const reached = (quantity: bigint): number => {
    let [low, high] = [0, ends.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (quantity <= (ends[middle] ?? 0n)) high = middle
      else low = middle + 1
    }
    return low
  }
  const graduated = (quantity: bigint): bigint => {
    let [sum, start] = [0n, 0n]
    for (let i = 0; ; i++) {
      const end = ends[i]
      const last = end === undefined || quantity <= end
      sum += ((last ? quantity : end) - start) * (prices[i] ?? 0n)
      if (last) return cents(sum)
      start = end
    }
  }
  const of = (name: string, price: SimplePrice, bare: (quantity: bigint) => bigint): Case => ({
    name: `${name}, ${String(count)} tier${count === 1 ? '' : 's'}`,
    price,
    bare,
    quantityMax,
  })
  const flags = { flatFeeOnZeroUsage: false }
  return [
    of('graduated', { model: 'graduated', tiers, ...flags }, graduated),
    of('volume', { model: 'volume', tiers, ...flags }, (quantity) =>
      cents(quantity * (prices[reached(quantity)] ?? 0n)),
    ),
    of(
      'stairstep',
      { model: 'stairstep', tiers: tiers.map(({ upTo, unitAmount }) => ({ upTo, amount: unitAmount })) },
      (quantity) => cents((prices[reached(quantity)] ?? 0n) * unit),
    ),
    of(
      'graduatedPercentage',
      {
        model: 'graduatedPercentage',
        tiers: tiers.map(({ upTo, unitAmount: { coefficient } }) => ({
          upTo,
          rate: { coefficient, scale: priceScale - 2 },
          flatAmount: null,
        })),
        ...flags,
      },
      graduated,
    ),
  ]
}
