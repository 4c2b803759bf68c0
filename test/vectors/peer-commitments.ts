import type { ChargeTerms, Commitment } from '../../src/catalog/price.ts'
import { add, type Decimal, decimal, multiply, ONE, subtract, toText, ZERO } from '../../src/money/decimal.ts'
import { minorUnitDigits } from '../../src/money/currency.ts'
import { shareOf } from '../../src/money/allocate.ts'
import { commitmentLeft, missingToCommitment } from '../../src/rating/commitment.ts'
import { type AmountDue, creditable, payFromWallets, type Wallet } from '../../src/rating/prepaid.ts'
import { progressiveCredits, thresholdBill, type Thresholds } from '../../src/rating/progressive.ts'
import { isInDaySpan, parseMinuteOfDay } from '../../src/time/time-of-day.ts'
import {
  bare,
  currencyOf,
  decimalOf,
  decimals,
  fractionOf,
  optionalDecimal,
  rateOf,
  sumOf,
  texts,
  wanted,
} from './terms.ts'
import { compareWith, type Field, type Mapped, type Mapping } from './vector.ts'

/** Commitments, bills before the end of a period, and prepaid money of the peers. */
export const peerCommitments: Readonly<Record<string, Mapping>> = {
  minimum_commitment_plan: mapPlanCommitment,
  minimum_true_up: mapTrueUp,
  window_commitment: mapWindows,
  window_commitment_time_of_day: mapWindowsOfDay,
  cumulative_commitment: mapCumulative,
  progressive_thresholds: mapThresholds,
  progressive_billing_credit: mapProgressiveCredit,
  progressive_billing_final_invoice: mapProgressiveFinal,
  proration_credit_cap: mapCreditCap,
  wallet_allocation: mapWallets,
  in_advance_units_change: mapUnitsInAdvance,
}

/** Fees count with the share of the period that they cover; what is paid in advance counts in its own period. */
function mapPlanCommitment(vector: Field): Mapped {
  const config = vector.at('config')
  config.describes('interval')
  const share = fractionOf(config.at('period_fraction'))
  const feeAt = config.at('subscription_fee_cents').exists ? config : vector.at('usage')
  const usage = vector.at('usage')
  const fee = shareOf(decimalOf(feeAt.at('subscription_fee_cents')), share, 0)
  const charges = ['charges_cents', 'charge_fees_cents', 'fixed_charge_fees_cents'].map(
    (key) => optionalDecimal(usage.at(key)) ?? ZERO,
  )
  const inAdvance = optionalDecimal(usage.at('in_advance_charge_cents')) ?? ZERO
  usage.says('in_advance_period', 'current', 'next', 'other')
  const counts = usage.at('in_advance_period').textOr('') === 'current'
  const used = [fee, ...charges, ...(counts ? [inAdvance] : [])]
  const missing = missingToCommitment(decimalOf(config.at('commitment_cents')), share, used, 0)
  const expected = wanted(vector)
  return compareWith(expected.raw, {
    true_up_cents: toText(missing),
    ...(expected.at('total_cents').exists ? { total_cents: toText(add(sumOf(used), missing)) } : {}),
  })
}

function mapTrueUp(vector: Field): Mapped {
  const config = vector.at('config')
  const usage = vector.at('usage')
  if (config.at('minimum_amount_cents').exists) {
    const missing = missingToCommitment(
      decimalOf(config.at('minimum_amount_cents')),
      fractionOf(config.at('period_fraction')),
      [decimalOf(usage.at('used_amount_cents'))],
      0,
    )
    return compareWith(wanted(vector).raw, { true_up_cents: toText(missing) })
  }
  const digits = minorUnitDigits(currencyOf(config.at('currency').text()))
  const missing = missingToCommitment(
    decimalOf(config.at('minimum')),
    fractionOf(config.at('period_fraction')),
    [decimalOf(usage.at('used'))],
    digits,
  )
  return compareWith(wanted(vector).raw, { true_up: toText(missing) })
}

function committed(unitAmount: Decimal, commitment: Commitment): ChargeTerms {
  return { ...bare({ model: 'unit', unitAmount }), commitment }
}

/** Each window is a period of its own. */
function mapWindows(vector: Field): Mapped {
  const config = vector.at('config')
  const terms = committed(decimalOf(config.at('unit_amount')), {
    amount: decimalOf(config.at('commitment_per_window')),
    overageFactor: decimalOf(config.at('overage_factor')),
    trueUp: config.at('true_up').flag(),
  })
  const windows = decimals(vector.at('usage', 'window_values'))
  return compareWith(wanted(vector).raw, {
    amount: toText(sumOf(windows.map((quantity) => rateOf(terms, quantity).exactAmount))),
  })
}

/** Windows of some hours of the day have a price and a commitment of their own. */
function mapWindowsOfDay(vector: Field): Mapped {
  const bucket = vector.at('config', 'bucket')
  const unitAmount = decimalOf(bucket.at('unit_amount'))
  const span = { start: minuteOf(bucket.at('from').text()), end: minuteOf(bucket.at('to').text()) }
  const inside = committed(unitAmount, {
    amount: bucket.at('commitment_units').exists
      ? multiply(decimalOf(bucket.at('commitment_units')), unitAmount)
      : decimalOf(bucket.at('commitment')),
    overageFactor: decimalOf(bucket.at('overage_factor')),
    trueUp: bucket.at('true_up').flag(),
  })
  const outside = bare({
    model: 'unit',
    unitAmount: decimalOf(vector.at('config', 'outside', 'unit_amount')),
  })
  let amount = ZERO
  let overage = ZERO
  for (const [at, quantity] of vector.at('usage', 'windows').entries()) {
    const terms = isInDaySpan(span, minuteOf(at)) ? inside : outside
    const window = rateOf(terms, decimalOf(quantity))
    amount = add(amount, window.exactAmount)
    for (const line of window.lines) {
      if (line.kind === 'overage') overage = add(overage, add(line.quantity, line.amount))
    }
  }
  return compareWith(wanted(vector).raw, {
    amount: toText(amount),
    utilized: toText(subtract(amount, overage)),
    overage: toText(overage),
  })
}

function minuteOf(text: string): number {
  const minute = parseMinuteOfDay(text)
  if (minute === null) throw new Error(`not a time of day: ${text}`)
  return minute
}

/** A commitment through several periods: what was used before fills it, counted by the price alone. */
function mapCumulative(vector: Field): Mapped {
  const config = vector.at('config')
  const usage = vector.at('usage')
  const whole: Commitment = {
    amount: decimalOf(config.at('annual_commitment')),
    overageFactor: decimalOf(config.at('overage_factor')),
    trueUp: false,
  }
  const commitment = commitmentLeft(whole, decimalOf(usage.at('prior_base_usage')))
  const { exactAmount, lines } = rateOf(committed(ONE, commitment), decimalOf(usage.at('current_base_usage')))
  const beyond = lines.find((line) => line.kind === 'overage')
  return compareWith(wanted(vector).raw, {
    amount: toText(exactAmount),
    overage_charge: toText(beyond === undefined ? ZERO : add(beyond.quantity, beyond.amount)),
  })
}

function mapThresholds(vector: Field): Mapped {
  const config = vector.at('config')
  config.says('invoice_amount', 'current usage - already invoiced (not the threshold amount)')
  const thresholds: Thresholds = {
    amounts: decimals(config.at('thresholds_cents')),
    step: optionalDecimal(config.at('recurring_step_cents')),
  }
  let billed = ZERO
  const bills = decimals(vector.at('usage', 'cumulative_usage_cents')).map((reached) => {
    const bill = thresholdBill(thresholds, reached, billed)
    if (bill !== null) billed = add(billed, bill)
    return bill === null ? null : toText(bill)
  })
  return compareWith(wanted(vector).raw, { invoice_cents: bills, final_invoice_credit_cents: toText(billed) })
}

/** Bills before the end are of single charges; a list that is cumulative says with its last what was billed. */
function mapProgressiveCredit(vector: Field): Mapped {
  const usage = vector.at('usage')
  const charges = decimals(usage.at('final_charge_fees_cents'))
  usage.says('progressive_charge', 'first')
  const billed = usage.at('progressive_per_charge_cents').exists
    ? decimals(usage.at('progressive_per_charge_cents'))
    : decimals(usage.at('progressive_invoices_cumulative_cents')).slice(-1)
  const credits = progressiveCredits(charges, billed)
  const expected = wanted(vector)
  return compareWith(expected.raw, {
    credit_cents: toText(sumOf(credits)),
    ...(expected.at('split').exists ? { split: texts(credits) } : {}),
  })
}

/** The usage of the one bill before the end came to its threshold; the plan's fee was not on it. */
function mapProgressiveFinal(vector: Field): Mapped {
  const config = vector.at('config')
  config.describes('unit_amount', 'plan_cents')
  const threshold = decimalOf(config.at('threshold_cents'))
  const fees = decimals(vector.at('usage', 'fees_cents'))
  const billed = thresholdBill({ amounts: [threshold], step: null }, threshold, ZERO)
  const [credit = ZERO] = progressiveCredits(fees.slice(1), billed === null ? [] : [billed])
  return compareWith(wanted(vector).raw, {
    progressive_credit_cents: toText(credit),
    total_cents: toText(subtract(sumOf(fees), credit)),
  })
}

function mapCreditCap(vector: Field): Mapped {
  const config = vector.at('config')
  const credit = creditable(
    decimalOf(vector.at('usage', 'potential_credit')),
    decimalOf(config.at('original_amount_paid')),
    decimalOf(config.at('previous_credits')),
  )
  return compareWith(wanted(vector).raw, { credit: toText(credit) })
}

function mapWallets(vector: Field): Mapped {
  const usage = vector.at('usage')
  const currency = currencyOf(usage.at('currency').textOr('EUR'))
  const wallets = vector.at('config', 'wallets').list().map(walletOf)
  const dues: AmountDue[] = usage
    .entries()
    .filter(([key]) => key !== 'currency')
    .map(([key, amount]) => ({
      kind: key.replace(/_(fee_incl_tax|total)_cents$/, ''),
      amount: decimalOf(amount),
    }))
  const { payments } = payFromWallets(wallets, dues, currency)
  return compareWith(
    wanted(vector).raw,
    Object.fromEntries([...payments].map(([id, paid]) => [id, toText(paid)])),
  )
}

/** An object, or words: `metric-targeted priority 1000` is a wallet with that balance for fees of metrics. */
function walletOf(wallet: Field): Wallet {
  if (!wallet.isText) {
    return {
      id: wallet.at('id').text(),
      balance: decimalOf(wallet.at('balance')),
      currency: currencyOf(wallet.at('currency').textOr('EUR')),
      priority: wallet.at('priority').exists ? wallet.at('priority').number() : 0,
      pays: null,
    }
  }
  const m = /^(\w+)-(?:only|targeted) priority (\d+)$/.exec(wallet.text())
  if (m === null) throw new Error(`no such wallet: ${wallet.text()}`)
  const kind = m[1] ?? ''
  return {
    id: `${kind}_wallet`,
    balance: decimal('1000'),
    currency: currencyOf('EUR'),
    priority: Number(m[2]),
    pays: new Set([kind]),
  }
}

/** Units that are paid for a whole period in advance: the highest level that was paid for is the quantity before. */
function mapUnitsInAdvance(vector: Field): Mapped {
  const config = vector.at('config')
  if (config.at('prorated').flag() || !config.at('apply_immediately').flag()) {
    throw new Error('only units that are charged whole and at once')
  }
  const price = bare({ model: 'unit', unitAmount: decimalOf(config.at('unit_amount_cents')) })
  let paidFor = ZERO
  const bills = decimals(vector.at('usage', 'units_over_time')).map((level) => {
    const added = subtract(level, paidFor)
    if (added.coefficient <= 0n) return '0'
    const bill = rateOf(price, added, { previousQuantity: paidFor })
    paidFor = level
    return toText(bill.exactAmount)
  })
  return compareWith(wanted(vector).raw, { invoice_amounts_cents: bills })
}
