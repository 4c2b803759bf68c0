import type { ProrationConvention } from '../../src/catalog/price.ts'
import { shareOf, splitCumulatively } from '../../src/money/allocate.ts'
import { minorUnitDigits } from '../../src/money/currency.ts'
import { add, type Decimal, multiply, negate, subtract, toText, ZERO } from '../../src/money/decimal.ts'
import { type Rational, rational, roundRational } from '../../src/money/rational.ts'
import { changeWithinPeriod, keptUntil, servedDays, servedShare } from '../../src/rating/proration.ts'
import { periodAt, periodOfIndex } from '../../src/time/billing-period.ts'
import type { Interval } from '../../src/time/instant.ts'
import { localDaysIn } from '../../src/time/local-day.ts'
import {
  bare,
  currencyOf,
  daysAfter,
  decimalOf,
  decimals,
  fractionOf,
  instantAt,
  intervalOf,
  rateOf,
  sumOf,
  texts,
} from './terms.ts'
import { compareWith, type Field, type Mapped, type Mapping } from './vector.ts'

/** Shares of a period, by `topic`. */
export const semanticsProration: Readonly<Record<string, Mapping>> = {
  proration: mapProration,
  mid_cycle_change: mapSegments,
  seats: mapSeats,
}

const CONVENTIONS: Readonly<Record<string, ProrationConvention>> = {
  actual_days_half_open: 'actualDays',
  actual_days: 'actualDays',
  fixed_30: 'fixed30',
  '30E/360': 'thirty360',
  second: 'second',
  none: 'none',
}

function conventionOf(input: Field): ProrationConvention {
  const convention = CONVENTIONS[input.at('convention').text()]
  if (convention === undefined) throw new Error(`no convention ${input.at('convention').text()}`)
  return convention
}

function mapProration(vector: Field): Mapped {
  const input = vector.at('input')
  if (input.at('old_rate').exists) return mapChange(vector)
  if (input.at('mrr').exists) return mapContract(vector)
  if (input.at('charged').exists) return mapCancelled(vector)
  if (input.at('ended_on').exists) return mapEnded(vector)
  if (input.at('anchor_day').exists) return mapStub(vector)
  return mapService(vector)
}

function digitsOf(input: Field): number {
  return minorUnitDigits(currencyOf(input.at('currency').textOr('USD')))
}

/** A service within its period: days, share and amount, as far as the vector asks. */
function mapService(vector: Field): Mapped {
  const input = vector.at('input')
  const expected = vector.at('expected')
  const convention = conventionOf(input)
  input.describes('fixed_days')
  input.says('rounding', 'HALF_UP')
  const service = intervalOf(input.at('service'))
  const period = input.at('period').exists ? intervalOf(input.at('period')) : null
  const share =
    period === null
      ? rational(BigInt(servedDays(service, convention, 'UTC')), BigInt(input.at('fixed_days').number()))
      : servedShare(service, period, convention, 'UTC')
  const factorDigits = input.at('factor_scale').exists ? input.at('factor_scale').number() : 9
  return compareWith(expected.raw, {
    ...(expected.at('days').exists ? { days: servedDays(service, convention, 'UTC') } : {}),
    ...(expected.at('days_in_period').exists && period !== null
      ? { days_in_period: servedDays(period, convention, 'UTC') }
      : {}),
    ...(expected.at('factor').exists ? { factor: toText(roundRational(share, factorDigits)) } : {}),
    ...(input.at('rate').exists ? { amount: toText(signedShare(input, share)) } : {}),
  })
}

function signedShare(input: Field, share: Rational): Decimal {
  const amount = shareOf(decimalOf(input.at('rate')), share, digitsOf(input))
  return input.at('sign').exists && input.at('sign').number() < 0 ? negate(amount) : amount
}

/** A part of an anchored period: the boundaries follow from the anchor, never from each other. */
function mapStub(vector: Field): Mapped {
  const input = vector.at('input')
  input.describes('question')
  const service = intervalOf(input.at('service'))
  const schedule = {
    startsAt: service.start,
    interval: 'month',
    anchorDay: input.at('anchor_day').number(),
    timezone: 'UTC',
  } as const
  const factor = toText(
    roundRational(servedShare(service, periodOfIndex(schedule, 0), 'actualDays', 'UTC'), 9),
  )
  const expected = vector.at('expected')
  if (!expected.at('anchor_preserving_factor').exists) return compareWith(expected.raw, { factor })
  expected.describes('killbill_factor')
  return compareWith({ factor: expected.at('anchor_preserving_factor').text() }, { factor })
}

function mapChange(vector: Field): Mapped {
  const input = vector.at('input')
  const rest = input.at('fraction_remaining').exists
    ? fractionOf(input.at('fraction_remaining'))
    : remainingShare(input)
  input.says('granularity', 'second', 'minute', 'day')
  const kept = rational(rest.denominator - rest.numerator, rest.denominator)
  const { credit, charge } = changeWithinPeriod(
    decimalOf(input.at('old_rate')),
    decimalOf(input.at('new_rate')),
    kept,
    digitsOf(input),
  )
  return compareWith(vector.at('expected').raw, {
    credit_unused: toText(credit),
    charge_remaining: toText(charge),
    net: toText(add(credit, charge)),
  })
}

function remainingShare(input: Field): Rational {
  const period = intervalOf(input.at('period'))
  const rest = { start: instantAt(input.at('changed_on').text()), end: period.end }
  const bySecond = input.at('granularity').textOr('day') !== 'day'
  return servedShare(rest, period, bySecond ? 'second' : 'actualDays', 'UTC')
}

/** A contract by the month, from a day to a last day: each month's part is rounded by itself. */
function mapContract(vector: Field): Mapped {
  const input = vector.at('input')
  const term = {
    start: instantAt(input.at('start').text()),
    end: daysAfter(instantAt(input.at('last_day').text()), 1),
  }
  const schedule = {
    startsAt: term.start,
    interval: 'month',
    anchorDay: input.at('bcd').number(),
    timezone: 'UTC',
  } as const
  const total = (shareOfMonth: (service: Interval, month: Interval) => Rational): string => {
    const parts: Decimal[] = []
    for (let at = term.start; at < term.end;) {
      const period = periodAt(schedule, at)
      const end = period.end < term.end ? period.end : term.end
      const share = shareOfMonth({ start: at, end }, period)
      parts.push(shareOf(decimalOf(input.at('mrr')), share, digitsOf(input)))
      at = end
    }
    return toText(sumOf(parts))
  }
  return compareWith(vector.at('expected').raw, {
    tcb_actual_over_30: total(shareOver30),
    tcv_actual_days: total((service, month) => servedShare(service, month, 'actualDays', 'UTC')),
  })
}

/** Days over 30, a whole month whole: parts of a month do not add up to it, so that no price of ours is shared out by it. */
function shareOver30(service: Interval, month: Interval): Rational {
  const days = BigInt(localDaysIn(service, 'UTC'))
  return days === BigInt(localDaysIn(month, 'UTC')) ? rational(1n, 1n) : rational(days, 30n)
}

/** What is kept is rounded; the credit is the rest of what was charged. */
function mapCancelled(vector: Field): Mapped {
  const input = vector.at('input')
  const period = intervalOf(input.at('period'))
  const share = servedShare(
    keptUntil(period, instantAt(input.at('cancelled').text())),
    period,
    'actualDays',
    'UTC',
  )
  const charged = decimalOf(input.at('charged'))
  const { credit } = changeWithinPeriod(charged, ZERO, share, digitsOf(input))
  const expected = vector.at('expected')
  expected.describes('naive_credit')
  return compareWith(
    { kept: expected.at('kept').text(), credit: expected.at('credit').text() },
    { kept: toText(add(charged, credit)), credit: toText(credit) },
  )
}

/** The day on which a service ends is not part of it, whatever the reason. */
function mapEnded(vector: Field): Mapped {
  const input = vector.at('input')
  input.describes('mode', 'reasons')
  const period = intervalOf(input.at('period'))
  const service = keptUntil(period, instantAt(input.at('ended_on').text()))
  const share = servedShare(service, period, 'actualDays', 'UTC')
  const expected = vector.at('expected')
  expected.describes('lago')
  return compareWith(
    { half_open: expected.at('half_open').text() },
    { half_open: toText(shareOf(decimalOf(input.at('rate')), share, digitsOf(input))) },
  )
}

function mapSegments(vector: Field): Mapped {
  const input = vector.at('input')
  const days = BigInt(input.at('days').number())
  const shares = input
    .at('boundaries_days')
    .list()
    .map((day) => rational(BigInt(day.number()), days))
  return compareWith(vector.at('expected').raw, {
    segments: texts(splitCumulatively(decimalOf(input.at('amount')), shares, digitsOf(input))),
  })
}

function mapSeats(vector: Field): Mapped {
  const input = vector.at('input')
  if (input.at('quantities').exists) {
    input.says('effective', 'next cycle')
    const price = bare({ model: 'unit', unitAmount: decimalOf(input.at('unit')) })
    const amounts = decimals(input.at('quantities')).map((quantity) => rateOf(price, quantity).amount)
    return compareWith(vector.at('expected').raw, { amounts: texts(amounts) })
  }
  const period = intervalOf(input.at('period'))
  const rest = { start: instantAt(input.at('changed_on').text()), end: period.end }
  const added = subtract(decimalOf(input.at('seats_after')), decimalOf(input.at('seats_before')))
  const price = decimalOf(input.at('seat_price'))
  const share = rational(BigInt(localDaysIn(rest, 'UTC')), BigInt(localDaysIn(period, 'UTC')))
  return compareWith(vector.at('expected').raw, {
    immediate_charge: toText(shareOf(multiply(price, added), share, digitsOf(input))),
    next_period: toText(
      rateOf(bare({ model: 'unit', unitAmount: price }), decimalOf(input.at('seats_after'))).amount,
    ),
  })
}
