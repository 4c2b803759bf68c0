import type { ChargeTerms, SimplePrice } from '../catalog/price.ts'
import { roundToMinorUnit } from '../money/currency.ts'
import { add, compare, type Decimal, negate, ONE, toFixedText, toText } from '../money/decimal.ts'
import { cellPrice } from './matrix.ts'
import type { Rated, RatedLine } from './rating-outcome.ts'
import type { RatingRequest } from './rating-request.ts'

/** What a line is, for a person who reads an invoice. */
export function describeLine(line: RatedLine, terms: ChargeTerms): string {
  const text = describe(line, terms)
  if (line.match === undefined) return text
  const values = Object.entries(line.match).map(([name, value]) => `${name} ${value}`)
  return `${values.join(', ')}: ${text}`
}

function describe(line: RatedLine, terms: ChargeTerms): string {
  const quantity = toText(line.quantity)
  const counted = (thing: string): string => `${quantity} ${thing}${quantity === '1' ? '' : 's'}`
  const unitAmount = toText(line.unitAmount)
  switch (line.kind) {
    case 'flat':
      return 'flat amount'
    case 'usage':
      return `${counted('unit')} at ${unitAmount}`
    case 'tierUsage':
      return `${tierName(line, terms)}: ${counted('unit')} at ${unitAmount}`
    case 'tierPackages':
      return `${tierName(line, terms)}: ${counted('package')} at ${unitAmount}`
    case 'tierFlat':
      return `${tierName(line, terms)}: flat amount`
    case 'volumeUsage':
      return `${counted('unit')}, all at ${unitAmount} of ${tierName(line, terms)}`
    case 'volumePackages':
      return `${counted('package')}, all at ${unitAmount} of ${tierName(line, terms)}`
    case 'volumeFlat':
      return `flat amount of ${tierName(line, terms)}`
    case 'stair':
      return `amount of ${tierName(line, terms)}`
    case 'packages':
      return `${counted('package')} of ${packageSize(line, terms)} at ${unitAmount}`
    case 'percentage':
      return line.tier === 0
        ? `${percent(line.unitAmount)} % of ${quantity}`
        : `${tierName(line, terms)}: ${percent(line.unitAmount)} % of ${quantity}`
    case 'perEvent':
      return `${counted('event')} at ${unitAmount}`
    case 'eventBounds':
      return 'bounds on the amount of single events'
    case 'dynamic':
      return `amount of ${quantity} times ${unitAmount}`
    case 'usageDiscount':
      return `${counted('unit')} free by discount`
    case 'percentDiscount':
      return `discount of ${percent(negate(line.unitAmount))} % on ${quantity}`
    case 'amountDiscount':
      return 'discount'
    case 'overage':
      return `${quantity} beyond the commitment of ${committedText(terms)}, ${overageText(line.unitAmount)}`
    case 'trueUp':
      return `up to the commitment of ${committedText(terms)}`
    case 'maximum':
      return `down to the maximum of ${terms.maximum === null ? '' : toText(terms.maximum)}`
    case 'minimum':
      return `up to the minimum of ${terms.minimum === null ? '' : toText(terms.minimum)}`
  }
}

/** The formula of a rated amount, each step with its amount, as one line of text. */
export function explain(rated: Rated, request: RatingRequest): string {
  const steps = rated.lines.map((line) => `${describeLine(line, request)} = ${toText(line.amount)}`)
  if (steps.length === 0) steps.push('nothing to bill = 0')
  if (request.conversion !== null) {
    const { operation, factor, rounding } = request.conversion
    const rounded = rounding === 'none' ? '' : ` (rounding: ${rounding})`
    steps.unshift(`${toText(request.quantity)} units ${operation} by ${toText(factor)}${rounded}`)
  }
  const amount = `${toFixedText(rated.amount)} ${request.currency}`
  if (rated.previousExactAmount !== null) {
    const earlier = toFixedText(roundToMinorUnit(rated.previousExactAmount, request.currency))
    steps.push(
      `${amount} is what the period comes to now less ${earlier} of its earlier parts, each rounded half away from zero`,
    )
  } else if (compare(rated.amount, rated.exactAmount) === 0) {
    steps.push(`total ${amount}`)
  } else {
    steps.push(`sum ${toText(rated.exactAmount)}, rounded half away from zero to ${amount}`)
  }
  return steps.join('; ')
}

function committedText({ commitment }: ChargeTerms): string {
  return commitment === null ? '' : toText(commitment.amount)
}

/** The factor on the price beyond a commitment, told by what it adds to the price. */
function overageText(added: Decimal): string {
  return `at ${toText(add(added, ONE))} times the price`
}

function percent(share: Decimal): string {
  return toText({ coefficient: share.coefficient * 100n, scale: share.scale })
}

function simplePrice(line: RatedLine, terms: ChargeTerms): SimplePrice | null {
  if (terms.price.model !== 'matrix') return terms.price
  return line.match === undefined ? null : cellPrice(terms.price, line.match)
}

function packageSize(line: RatedLine, terms: ChargeTerms): string {
  const price = simplePrice(line, terms)
  return price?.model === 'package' ? toText(price.packageSize) : ''
}

function tierName(line: RatedLine, terms: ChargeTerms): string {
  const price = simplePrice(line, terms)
  if (price === null || !('tiers' in price)) return `tier ${line.tier}`
  const upTo = price.tiers[line.tier - 1]?.upTo ?? null
  const above = price.tiers[line.tier - 2]?.upTo ?? null
  const from = above === null ? '' : `above ${toText(above)}`
  const to = upTo === null ? '' : `to ${toText(upTo)}`
  const range = [from, to].filter((text) => text !== '').join(' ')
  return range === '' ? `tier ${line.tier}` : `tier ${line.tier} (${range})`
}
