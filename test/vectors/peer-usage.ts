import type { ApiKeyId } from '../../src/id/ids.ts'
import { createApi } from '../../src/http/api.ts'
import { createEventRoutes } from '../../src/http/events.ts'
import {
  decimal,
  type Decimal,
  isNegative,
  ONE,
  type RoundingMode,
  roundToPlace,
  toText,
  ZERO,
} from '../../src/money/decimal.ts'
import { type Rational, roundRational } from '../../src/money/rational.ts'
import { instantOf } from '../../src/time/instant.ts'
import type { Aggregation } from '../../src/usage/meter.ts'
import { dayWeightedUnits, type HeldUnits, timeWeightedLevel } from '../../src/usage/time-weighted.ts'
import { aCloudEvent, aStage, TENANT } from '../support/ingest.ts'
import { daysAfter, decimalOf, decimals, instantAt, intervalOf, wanted } from './terms.ts'
import { meterValue } from './usage-stage.ts'
import { compareWith, excludedBy, type Field, type Mapped, type Mapping } from './vector.ts'

/** From events to quantities as the peers' tests have it. */
export const peerUsage: Readonly<Record<string, Mapping>> = {
  aggregates: mapAggregates,
  sum: mapSum,
  latest: mapLatest,
  unique_count: mapUniqueCount,
  deduplication: mapDeduplication,
  ingest_ack: mapIngestAck,
  aggregate_rounding: mapRounding,
  weighted_sum: mapWeightedSum,
  prorated_sum: mapProratedSum,
  prorated_unique_count: mapProratedUniqueCount,
}

async function mapAggregates(vector: Field): Promise<Mapped> {
  const values = vector
    .at('usage', 'values')
    .list()
    .map((value) => value.text())
  const expected = wanted(vector)
  const actual: [string, string | null][] = []
  for (const [name] of expected.entries()) {
    actual.push([name, await meterValue(name as Aggregation, values)])
  }
  return compareWith(expected.raw, Object.fromEntries(actual))
}

async function mapSum(vector: Field): Promise<Mapped> {
  const values = vector
    .at('usage', 'values')
    .list()
    .map((value) => value.text())
  return compareWith(wanted(vector).raw, { value: await meterValue('sum', values) })
}

const NO_CLAMP =
  'policy: the latest value is what was sent, below zero as well: 0 in its place would hide a fault'

async function mapLatest(vector: Field): Promise<Mapped> {
  const values = vector
    .at('usage', 'values_in_time_order')
    .list()
    .map((value) => value.text())
  const value = await meterValue('latest', values)
  if (value !== null && isNegative(decimal(value))) return excludedBy(NO_CLAMP, { value })
  return compareWith(wanted(vector).raw, { value })
}

/** An event that lacks the field is not one value more. */
async function mapUniqueCount(vector: Field): Promise<Mapped> {
  const field = vector.at('config', 'field').text()
  const values = vector
    .at('usage', 'events')
    .list()
    .map((event) => (event.at(field).exists ? event.at(field).text() : null))
  return compareWith(wanted(vector).raw, { value: await meterValue('uniqueCount', values) })
}

/** A retry has the same id and perhaps another time: it is the same event. */
async function mapDeduplication(vector: Field): Promise<Mapped> {
  vector.at('config').describes('dedup_key')
  const { ingest } = { ingest: aStage() }
  let accepted = 0
  for (const event of vector.at('usage', 'events').list()) {
    const time = /\d{2}:\d{2}:\d{2}(?:\.\d+)?/.exec(event.at('timestamp').text())?.[0]
    if (time === undefined) throw new Error(`${event.path} has no time`)
    const id = event.at('transaction_id').text()
    const answer = await ingest.send([aCloudEvent({ id, time: `2026-03-01T${time}Z` })])
    if (answer.kind !== 'accepted') throw new Error(answer.detail)
    accepted += answer.accepted
  }
  return compareWith(wanted(vector).raw, { count: accepted })
}

/** What the API answers while the log takes nothing. */
async function mapIngestAck(vector: Field): Promise<Mapped> {
  vector.at('usage').says('kafka', 'unavailable')
  const { ingest, log } = aStage()
  log.failNext(() => 'throws')
  const api = createApi({ newRequestId: () => 'req_1', onFault: () => undefined })
  const principal = { tenant: TENANT, keyId: 'key_1' as ApiKeyId, scopes: ['ingest'] } as const
  api.route(
    '/',
    createEventRoutes({
      authenticator: { authenticate: () => ({ kind: 'authenticated', principal }) },
      ingest,
      bodyBytesMax: 100_000,
    }),
  )
  const response = await api.request('/v1/events', {
    method: 'POST',
    headers: { authorization: 'Bearer any', 'content-type': 'application/cloudevents-batch+json' },
    body: JSON.stringify([aCloudEvent()]),
  })
  return compareWith(wanted(vector).raw, { http: response.status })
}

const MODES: Readonly<Record<string, RoundingMode>> = { round: 'halfUp', ceil: 'ceiling', floor: 'floor' }

function mapRounding(vector: Field): Mapped {
  const config = vector.at('config')
  const mode = MODES[config.at('function').text()]
  if (mode === undefined) throw new Error('no such rounding')
  const value = roundToPlace(decimalOf(vector.at('usage', 'value')), config.at('precision').number(), mode)
  return compareWith(wanted(vector).raw, { value: toText(value) })
}

/** Changes of a level, each at an instant; `day 15` is fifteen days after the start. */
function mapWeightedSum(vector: Field): Mapped {
  const config = vector.at('config')
  config.says('weighted_interval', 'seconds')
  const usage = vector.at('usage')
  const start = instantOf(0)
  const period = config.at('period_days').exists
    ? { start, end: daysAfter(start, config.at('period_days').number()) }
    : intervalOf(config.at('period'))
  const changes = usage
    .at('events')
    .list()
    .map((event) => ({ at: instantIn(event.at('at').text()), change: decimalOf(event.at('value')) }))
  const initial = usage.at('initial_value').exists ? decimalOf(usage.at('initial_value')) : ZERO
  const level = timeWeightedLevel(period, initial, changes)
  return compareWith(wanted(vector).raw, { value: toText(rounded(level, config)) })
}

function instantIn(text: string): ReturnType<typeof instantOf> {
  const day = /^day (\d+)$/.exec(text)?.[1]
  return day === undefined ? instantAt(text) : daysAfter(instantOf(0), Number(day))
}

/** To the digits that the vector says, up where it says so; else to 12. */
function rounded(value: Rational, config: Field): Decimal {
  config.says('rounding', 'ceil 5 dp')
  const digits = config.at('round_dp')
  if (config.at('rounding').exists) return roundRational(value, 5, 'ceiling')
  return roundRational(value, digits.exists ? digits.number() : 12)
}

/** Units held from before count for the whole period, or for the days that the vector says. */
function mapProratedSum(vector: Field): Mapped {
  const config = vector.at('config')
  const usage = vector.at('usage')
  const periodDays = config.at('days_in_period').number()
  config.describes('pay_in_advance_billing_of_persisted')
  const held: HeldUnits[] = []
  const hold = (units: Decimal, days: number): void => void held.push({ units, days })
  const ownDays = usage.at('days').exists ? usage.at('days').number() : periodDays
  if (usage.at('persisted').isList) decimals(usage.at('persisted')).forEach((units) => hold(units, ownDays))
  else if (usage.at('persisted').exists) hold(decimalOf(usage.at('persisted')), ownDays)
  if (usage.at('value').exists) hold(decimalOf(usage.at('value')), ownDays)
  for (const event of usage.at('events').listOrNone()) {
    hold(decimalOf(event.at('value')), event.at('days').number())
  }
  for (const units of usage.at('events_full').listOrNone()) hold(decimalOf(units), periodDays)
  return compareWith(wanted(vector).raw, {
    value: toText(rounded(dayWeightedUnits(held, periodDays), config)),
  })
}

function mapProratedUniqueCount(vector: Field): Mapped {
  const config = vector.at('config')
  const days = vector.at('usage', 'active_days_inclusive')
  const held = (days.isList ? days.list() : [days]).map((one) => ({ units: ONE, days: one.number() }))
  const count = dayWeightedUnits(held, config.at('days_in_period').number())
  return compareWith(wanted(vector).raw, { value: toText(rounded(count, config)) })
}
