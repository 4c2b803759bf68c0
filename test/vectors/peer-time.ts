import { shareOf } from '../../src/money/allocate.ts'
import { add, type Decimal, multiply, negate, subtract, toText, ZERO } from '../../src/money/decimal.ts'
import { type Rational, rational } from '../../src/money/rational.ts'
import { changeWithinPeriod, keptUntil, servedShare } from '../../src/rating/proration.ts'
import { type BillingSchedule, periodAt, periodOfIndex } from '../../src/time/billing-period.ts'
import { contains, type Interval } from '../../src/time/instant.ts'
import { localDaysIn } from '../../src/time/local-day.ts'
import { isInDaySpan, parseMinuteOfDay } from '../../src/time/time-of-day.ts'
import { dateText, daysAfter, decimalOf, fractionOf, instantAt, intervalOf, sumOf, wanted } from './terms.ts'
import { compareWith, excludedBy, type Field, type Mapped, type Mapping } from './vector.ts'

/** Periods and their shares as the peers' tests have them. */
export const peerTime: Readonly<Record<string, Mapping>> = {
  billing_cycles_elapsed: mapCycles,
  month_anchor_clamp: mapAnchor,
  calendar_days_between: mapDaysBetween,
  period_boundary: mapBoundary,
  time_of_day_bucket: mapTimeOfDay,
  subscription_proration: mapBilledDays,
  fixed_charge_proration: mapBilledDays,
  fixed_charge_upgrade_delta: mapUpgradeDelta,
  line_item_proration: mapItemBySecond,
  plan_change_proration: mapPlanChange,
  plan_change_netting: mapNetting,
}

function monthly(config: Field, from: Field): BillingSchedule {
  config.says('interval', 'month')
  return {
    startsAt: instantAt(from.text()),
    interval: 'month',
    anchorDay: config.at('anchor_day').number(),
    timezone: 'UTC',
  }
}

function mapCycles(vector: Field): Mapped {
  const usage = vector.at('usage')
  const schedule = monthly(vector.at('config'), usage.at('from'))
  return compareWith(wanted(vector).raw, {
    cycles: periodAt(schedule, instantAt(usage.at('to').text())).index,
  })
}

function mapAnchor(vector: Field): Mapped {
  const usage = vector.at('usage')
  const schedule = monthly(vector.at('config'), usage.at('from'))
  const starts = Array.from({ length: usage.at('count').number() }, (_, i) =>
    dateText(periodOfIndex(schedule, i).start),
  )
  return compareWith(wanted(vector).raw, { starts })
}

const DAYS_OF_THE_ZONE =
  'policy: calendar days are those of the customer’s zone, whatever the clock of the input shows'

function mapDaysBetween(vector: Field): Mapped {
  const config = vector.at('config')
  const usage = vector.at('usage')
  const interval: Interval = {
    start: instantAt(usage.at('start_utc').text()),
    end: instantAt(usage.at('end_utc').text()),
  }
  const days = localDaysIn(interval, config.at('timezone').text())
  if (config.at('dates_taken_from').exists) {
    config.says(
      'dates_taken_from',
      'the wall clock of the INPUT time (UTC), not converted to the customer timezone',
    )
    return excludedBy(DAYS_OF_THE_ZONE, { days })
  }
  return compareWith(wanted(vector).raw, { days })
}

/** `[2025-01-01,2025-02-01)`: named by the month in which it begins. */
function mapBoundary(vector: Field): Mapped {
  const at = instantAt(vector.at('usage', 'event_at').text())
  const countedIn = vector
    .at('config', 'periods')
    .list()
    .flatMap((period) => {
      const m = /^\[([\d-]+),([\d-]+)\)$/.exec(period.text())
      if (m === null) throw new Error(`${period.path} is no half-open interval`)
      const interval = { start: instantAt(m[1] ?? ''), end: instantAt(m[2] ?? '') }
      return contains(interval, at) ? [monthName(interval)] : []
    })
  return compareWith(wanted(vector).raw, { counted_in: countedIn })
}

function monthName({ start }: Interval): string {
  return new Intl.DateTimeFormat('en', { month: 'long', timeZone: 'UTC' }).format(start).toLowerCase()
}

function mapTimeOfDay(vector: Field): Mapped {
  const config = vector.at('config')
  config.says('timezone', 'UTC')
  const [start, end, at] = [config.at('start'), config.at('end'), vector.at('usage', 'at')].map((field) =>
    parseMinuteOfDay(field.text()),
  )
  if (typeof start !== 'number' || typeof end !== 'number' || typeof at !== 'number') {
    throw new Error('no time of day')
  }
  return compareWith(wanted(vector).raw, { contains: isInDaySpan({ start, end }, at) })
}

/** The days are counted by the vector; we share out by them. */
function mapBilledDays(vector: Field): Mapped {
  const config = vector.at('config')
  config.describes('day_count')
  config.says('rounding', 'half up to cents')
  const usage = vector.at('usage')
  const share = rational(BigInt(usage.at('billed_days').number()), BigInt(usage.at('period_days').number()))
  const amount = toText(shareOf(decimalOf(config.at('plan_amount_cents')), share, 0))
  const expected = wanted(vector)
  return compareWith(
    expected.raw,
    expected.at('credit_cents').exists ? { credit_cents: amount } : { amount_cents: amount },
  )
}

function mapUpgradeDelta(vector: Field): Mapped {
  const config = vector.at('config')
  const share = fractionOf(config.at('fraction'))
  const [added, old] = ['new_cents', 'old_cents'].map((key) => shareOf(decimalOf(config.at(key)), share, 0))
  return compareWith(wanted(vector).raw, { amount_cents: toText(subtract(added ?? ZERO, old ?? ZERO)) })
}

function mapItemBySecond(vector: Field): Mapped {
  const config = vector.at('config')
  config.says('strategy', 'second_based')
  config.describes('peer_denominator_seconds')
  const period = intervalOf(config.at('period'))
  const rest = { start: instantAt(vector.at('usage', 'change_at').text()), end: period.end }
  const share = servedShare(rest, period, 'second', 'UTC')
  return compareWith(wanted(vector).raw, {
    charge: toText(shareOf(decimalOf(config.at('amount')), share, 2)),
  })
}

/** What is swapped, added and taken away at one time in a period of whole days. */
function mapPlanChange(vector: Field): Mapped {
  const config = vector.at('config')
  const expected = wanted(vector)
  if (config.at('added_one_time').exists) {
    vector.at('usage').describes('change_date') // What is sold once has no period to share.
    const once = config.at('added_one_time')
    const amount = multiply(decimalOf(once.at('unit')), decimalOf(once.at('quantity')))
    return compareWith(expected.raw, { net_cents: cents(amount) })
  }
  if (config.at('added_yearly').exists) {
    vector.at('usage').describes('change_date')
    const days = (key: string): bigint => BigInt(config.at(key).number())
    const share = rational(days('stub_days'), days('own_period_days'))
    return compareWith(expected.raw, {
      net_cents: cents(shareOf(decimalOf(config.at('added_yearly')), share, 2)),
    })
  }
  const period = periodOf(config)
  const kept = servedShare(
    keptUntil(period, instantAt(vector.at('usage', 'change_date').text())),
    period,
    'actualDays',
    config.at('timezone').textOr('UTC'),
  )
  const changes = changesOf(config).map(([old, next]) => changeWithinPeriod(old, next, kept, 2))
  const credit = sumOf(changes.map((change) => change.credit))
  const charge = sumOf(changes.map((change) => change.charge))
  const net = add(credit, charge)
  if (expected.at('credit').exists) {
    return compareWith(expected.raw, { credit: toText(credit), charge: toText(charge), net: toText(net) })
  }
  return compareWith(expected.raw, {
    ...(expected.at('credit_cents').exists
      ? { credit_cents: negatedCents(credit, expected.at('credit_cents')), charge_cents: cents(charge) }
      : {}),
    net_cents: cents(net),
  })
}

function changesOf(config: Field): [Decimal, Decimal][] {
  const [from, to] = config.at('old_total').exists ? ['old_total', 'new_total'] : ['old', 'new']
  if (config.at(from).exists) return [[decimalOf(config.at(from)), decimalOf(config.at(to))]]
  const [old, next] = config.at('swap').list().map(decimalOf)
  const changes: [Decimal, Decimal][] = [[old ?? ZERO, next ?? ZERO]]
  if (config.at('added').exists) changes.push([ZERO, decimalOf(config.at('added'))])
  if (config.at('removed').exists) changes.push([decimalOf(config.at('removed')), ZERO])
  return changes
}

/** Flexprice's days include the last one; the others' periods are half-open. */
function periodOf(config: Field): Interval {
  config.describes('period_semantics')
  config.says('strategy', 'day_based')
  const { start, end } = intervalOf(config.at('period'))
  return config.at('strategy').exists ? { start, end: daysAfter(end, 1) } : { start, end }
}

function cents(amount: Decimal): string {
  return toText(shareOf(amount, rational(100n, 1n) satisfies Rational, 0))
}

/** A vector writes a credit with its sign, or as what is credited: 0 is both. */
function negatedCents(credit: Decimal, expected: Field): string {
  return decimalOf(expected).coefficient > 0n ? cents(negate(credit)) : cents(credit)
}

function mapNetting(vector: Field): Mapped {
  const lines = vector.at('usage', 'lines_cents').list().map(decimalOf)
  return compareWith(wanted(vector).raw, { single_line_cents: toText(sumOf(lines)) })
}
