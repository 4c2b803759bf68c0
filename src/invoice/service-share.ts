import type { ProrationConvention } from '../catalog/price.ts'
import { type Currency, minorUnitDigits } from '../money/currency.ts'
import { type Decimal, divide, divideRounded, fromBigInt, multiply, pow10, round } from '../money/decimal.ts'
import { type ServedUnits, servedUnits } from '../rating/proration.ts'
import type { Interval } from '../time/instant.ts'

/** Digits behind the point of an exact amount that has no end, such as a third of a fee. */
const shareDigits = 12

/** The share of a whole period that a service takes up: units `before`, then `billed`, of `whole`. Cumulative, so that shares add up. */
export interface ServiceShare {
  readonly before: number
  readonly billed: number
  readonly whole: number
  /** Whether the service is a part of its period; by some conventions a part is charged as the whole. */
  readonly isPart: boolean
}

/**
 * Counts a service by the convention of its price.
 * @param before units that earlier services of an equal fee have taken up of the period
 */
export function serviceShare(
  service: Interval,
  period: Interval,
  { convention, timezone, before }: { convention: ProrationConvention; timezone: string; before: number },
): ServiceShare {
  const isPart = service.start > period.start || service.end < period.end
  const { billed, whole } = countedUnits(service, period, convention, timezone)
  // Without proration every service is the whole, but equal fees are one: they are charged once a period.
  return { before, billed: Math.min(billed, whole - before), whole, isPart }
}

function countedUnits(
  service: Interval,
  period: Interval,
  convention: ProrationConvention,
  timezone: string,
): Pick<ServedUnits, 'billed' | 'whole'> {
  const units = servedUnits(service, period, convention, timezone)
  // A day that months of 30 days do not have, such as the 31st, cannot be shared out: it is charged whole.
  return units.whole === 0 ? { billed: 1, whole: 1 } : units
}

/**
 * The part of a fee that falls on its service. The amount is the difference of two rounded cumulative shares, so that the
 * parts of one period add up to the whole fee to the cent.
 */
export function feeShare(
  fee: Decimal,
  share: ServiceShare,
  currency: Currency,
): { readonly amount: Decimal; readonly exactAmount: Decimal } {
  const { before, billed, whole } = share
  const digits = minorUnitDigits(currency)
  const upTo = (units: number): bigint => {
    const scale = Math.max(fee.scale, digits)
    const coefficient = round(fee, scale).coefficient * BigInt(units)
    return divideRounded(coefficient, BigInt(whole) * pow10(scale - digits), 'halfUp')
  }
  return {
    amount: { coefficient: upTo(before + billed) - upTo(before), scale: digits },
    exactAmount: scaled(fee, share),
  }
}

/** What is agreed for a whole period, for the share of it that is served; to 12 digits behind the point. */
export function scaled(agreed: Decimal, { billed, whole }: ServiceShare): Decimal {
  if (billed === whole) return agreed
  return divide(multiply(agreed, fromBigInt(BigInt(billed))), fromBigInt(BigInt(whole)), shareDigits)
}

/** The share in words, as it stands on the line of a service that is a part of its period. */
export function shareText({ before, billed, whole }: ServiceShare, convention: ProrationConvention): string {
  switch (convention) {
    case 'actualDays':
      return `${billed} of ${whole} days`
    case 'fixed30':
      return `${billed} of ${whole} days, with months of 30 days`
    case 'thirty360':
      return `${billed} of ${whole} days by 30E/360`
    case 'second':
      return timeText(billed, whole)
    case 'none':
      return before > 0
        ? 'charged once a period, with an earlier part of it'
        : 'a part is charged as the whole'
  }
}

/** Whole seconds where both are, else milliseconds. */
function timeText(billedMs: number, wholeMs: number): string {
  return billedMs % 1000 === 0 && wholeMs % 1000 === 0
    ? `${billedMs / 1000} of ${wholeMs / 1000} seconds`
    : `${billedMs} of ${wholeMs} milliseconds`
}
