import { Temporal } from 'temporal-polyfill'
import {
  type BillingInterval,
  type BillingSchedule,
  defaultAnchorDay,
  periodAt,
  type BillingPeriod,
  periodOfIndex,
} from '../../src/time/billing-period.ts'
import { contains, type Instant, instantOf, type Interval } from '../../src/time/instant.ts'
import { localDayText } from '../../src/time/local-day.ts'
import { add, type Decimal, toText, ZERO } from '../../src/money/decimal.ts'
import { dateText, decimalOf, instantAt } from './terms.ts'
import { compareWith, excludedBy, type Field, type Mapped, type Mapping } from './vector.ts'

/** Billing dates and windows, by `topic`. Days are midnights in UTC unless the vector has a zone. */
export const semanticsTime: Readonly<Record<string, Mapping>> = {
  billing_dates: mapBillingDates,
  usage_windows: mapUsageWindows,
  timezone: mapTimezone,
}

const INTERVALS: Readonly<Record<string, BillingInterval>> = {
  day: 'day',
  week: 'week',
  month: 'month',
  quarter: 'quarter',
  '3_months': 'quarter',
  year: 'year',
  '12_months': 'year',
}

const NO_MULTIPLES =
  'policy: plans are billed by day, week, month, quarter or year; other multiples of them are not sold'

function mapBillingDates(vector: Field): Mapped {
  const input = vector.at('input')
  const expected = vector.at('expected')
  if (input.at('cases').exists) return mapArrears(vector)
  if (input.at('previous').exists) return mapNextAfter(vector)
  const interval = INTERVALS[input.at('interval').text()]
  if (interval === undefined) return excludedBy(NO_MULTIPLES, null)
  if (input.at('anchor').exists) return mapSequence(vector, interval)
  const schedule = scheduleOf(input, interval)
  const first = periodOfIndex(schedule, 0)
  if (expected.at('first_aligned').exists) {
    input.says('question', 'first aligned billing date on or after start')
    const aligned = first.start === schedule.startsAt ? first.start : first.end
    return compareWith(expected.raw, { first_aligned: dateText(aligned) })
  }
  const next = expected.at('next')
  const ends = next.isList
    ? next.list().map((_, i) => dateText(periodOfIndex(schedule, i).end))
    : dateText(first.end)
  return compareWith(expected.raw, { next: ends })
}

function scheduleOf(input: Field, interval: BillingInterval): BillingSchedule {
  return {
    startsAt: instantAt(input.at('start').text()),
    interval,
    anchorDay: input.at('anchor_day').number(),
    timezone: 'UTC',
  }
}

/** `Jan 31` of a year that is a leap year or not: the boundaries after it, written alike. */
function mapSequence(vector: Field, interval: BillingInterval): Mapped {
  const input = vector.at('input')
  const leap = input.at('leap_year').flag()
  const startsAt = monthDay(input.at('anchor').text(), leap ? 2024 : 2023)
  const schedule = {
    startsAt,
    interval,
    anchorDay: defaultAnchorDay(startsAt, interval, 'UTC'),
    timezone: 'UTC',
  }
  const expected = vector.at('expected')
  const sequence = expected
    .at('sequence')
    .list()
    .map((_, i) =>
      new Intl.DateTimeFormat('en', { month: 'short', day: 'numeric', timeZone: 'UTC' }).format(
        periodOfIndex(schedule, i).end,
      ),
    )
  return compareWith(expected.raw, { sequence })
}

function monthDay(text: string, year: number): Instant {
  const at = Date.parse(`${text} ${String(year)} 00:00:00 GMT`)
  return instantOf(at)
}

/** The first boundary from a date on, counted from an earlier one. */
function mapNextAfter(vector: Field): Mapped {
  const input = vector.at('input')
  const startsAt = instantAt(input.at('previous').text())
  const notBefore = instantAt(input.at('not_before').text())
  const text = input.at('interval').text()
  const interval = INTERVALS[text] ?? INTERVALS[text.replace(/^\d+_(\w+)s$/, '$1')]
  if (interval === undefined) throw new Error(`no interval ${text}`)
  const schedule = {
    startsAt,
    interval,
    anchorDay: defaultAnchorDay(startsAt, interval, 'UTC'),
    timezone: 'UTC',
  }
  const period = periodAt(schedule, notBefore)
  const next = dateText(period.start >= notBefore ? period.start : period.end)
  if (INTERVALS[text] === undefined) return excludedBy(NO_MULTIPLES, { next })
  return compareWith(vector.at('expected').raw, { next })
}

/** In arrears a period is billed at its end: nothing before the first boundary. */
function mapArrears(vector: Field): Mapped {
  const input = vector.at('input')
  input.says('mode', 'in_arrears')
  const schedule = scheduleOf(input, INTERVALS[input.at('interval').textOr('month')] ?? 'month')
  const results = input
    .at('cases')
    .list()
    .map((field) => {
      const target = instantAt(field.text().replace('target ', ''))
      const running = periodAt(schedule, target)
      const over = running.index === 0 ? null : periodOfIndex(schedule, running.index - 1)
      return { bill: over === null ? null : serviceOf(over, schedule), next: dateText(running.end) }
    })
  return compareWith(vector.at('expected').raw, { results })
}

/** The part of a period in which the subscription runs. */
function serviceOf(period: BillingPeriod, { startsAt }: BillingSchedule): [string, string] {
  return [dateText(startsAt > period.start ? startsAt : period.start), dateText(period.end)]
}

function sumIn(interval: Interval, events: readonly { at: Instant; value: Decimal }[]): Decimal {
  return events.reduce((sum, { at, value }) => (contains(interval, at) ? add(sum, value) : sum), ZERO)
}

function mapUsageWindows(vector: Field): Mapped {
  const input = vector.at('input')
  const events = input
    .at('events')
    .list()
    .map((event) => ({ at: instantAt(event.at(0).text()), value: decimalOf(event.at(1)) }))
  const expected = vector.at('expected')
  if (input.at('subscription').exists) {
    const [start, end] = input
      .at('subscription')
      .list()
      .map((at) => instantAt(at.text().replace(/ \(\w+\)$/, '')))
    if (start === undefined || end === undefined) throw new Error('no subscription')
    expected.describes('killbill_quantity')
    return compareWith(
      { half_open_quantity: expected.at('half_open_quantity').text() },
      { half_open_quantity: toText(sumIn({ start, end }, events)) },
    )
  }
  const boundaries = input
    .at('boundaries')
    .list()
    .map((at) => instantAt(at.text()))
  const [startsAt] = boundaries
  if (startsAt === undefined) throw new Error('no boundaries')
  const schedule = {
    startsAt,
    interval: 'month',
    anchorDay: input.at('anchor_day').number(),
    timezone: 'UTC',
  } as const
  const periods = boundaries.slice(1).map((_, i) => periodOfIndex(schedule, i))
  if (periods.some(({ end }, i) => end !== boundaries[i + 1])) throw new Error('other boundaries than ours')
  const outside = events.filter(({ at }) => !periods.some((period) => contains(period, at)))
  return compareWith(expected.raw, {
    per_period: periods.map((period) => toText(sumIn(period, events))),
    ignored: outside.map(({ value }) => toText(value)),
  })
}

function mapTimezone(vector: Field): Mapped {
  const input = vector.at('input')
  const zone = input.at('zone').text()
  return input.at('trial_days').exists ? mapTrial(vector, zone) : mapLocalWindows(vector, zone)
}

/** The wall clock of the zone. */
function localInstant(text: string, zone: string): Instant {
  return instantOf(Temporal.PlainDateTime.from(text).toZonedDateTime(zone).epochMilliseconds)
}

/** Events at local times, counted by the local month that holds them. */
function mapLocalWindows(vector: Field, timezone: string): Mapped {
  const input = vector.at('input')
  const events = input
    .at('events_local')
    .list()
    .map((at) => localInstant(at.text(), timezone))
  const [startsAt] = events
  if (startsAt === undefined) throw new Error('no events')
  const interval = INTERVALS[input.at('interval').text()]
  if (interval === undefined) return excludedBy(NO_MULTIPLES, null)
  const schedule = { startsAt, interval, anchorDay: input.at('anchor_day').number(), timezone }
  const quantity: Record<string, number> = {}
  for (const at of events) {
    const name = localDayText(periodAt(schedule, at).start, timezone).slice(0, 7)
    quantity[name] = (quantity[name] ?? 0) + 1
  }
  return compareWith(vector.at('expected').raw, { quantity })
}

/** The paid plan is anchored on the local day on which the trial ends, whatever the season in which it began. */
function mapTrial(vector: Field, timezone: string): Mapped {
  const input = vector.at('input')
  input.describes('price')
  const created = localInstant(input.at('account_and_sub_created_local').text(), timezone)
  const trialDays = input.at('trial_days').number()
  const startsAt = instantOf(
    Temporal.Instant.fromEpochMilliseconds(created).toZonedDateTimeISO(timezone).add({ days: trialDays })
      .epochMilliseconds,
  )
  const anchorDay = defaultAnchorDay(startsAt, 'month', timezone)
  const first = periodOfIndex({ startsAt, interval: 'month', anchorDay, timezone }, 0)
  return compareWith(vector.at('expected').raw, {
    anchor_day: anchorDay,
    first_paid_period: [localDayText(first.start, timezone), localDayText(first.end, timezone)],
  })
}
