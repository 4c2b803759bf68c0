import { JsonReader, member, type JsonObject } from '../catalog/json-reader.ts'
import { readDimensionValues } from '../catalog/matrix-parse.ts'
import { CHARGE_TERMS_MEMBERS, readChargeTerms } from '../catalog/price-parse.ts'
import { type Currency, parseCurrency } from '../money/currency.ts'
import { add, compare, type Decimal, ZERO, toFixedText, toText } from '../money/decimal.ts'
import { describeLine, explain } from './explain.ts'
import { rate } from './rate.ts'
import type { Rated, RatedLineKind, RatingError } from './rating-outcome.ts'
import type { EventAmounts, PeriodPart, QuantityGroup, RatingRequest } from './rating-request.ts'

/** Groups and events of one request. */
const groupsMax = 10_000
const eventsMax = 1_000_000

/** What a request is told by; as it came. */
type RatingRequestId = string | number | null

interface RatedLineJson {
  readonly kind: RatedLineKind
  readonly description: string
  readonly quantity: string
  readonly unitAmount: string
  readonly amount: string
}

/** The answer to one rating request, as JSON. */
export type RatingAnswer =
  | {
      readonly id: RatingRequestId
      readonly amount: string
      readonly exactAmount: string
      readonly lines: readonly RatedLineJson[]
      readonly explanation: string
    }
  | { readonly id: RatingRequestId; readonly error: RatingError }

type RatingRequestParse =
  | { readonly kind: 'request'; readonly request: RatingRequest }
  | { readonly kind: 'faulty'; readonly error: RatingError }

/** Rates a line of NDJSON. Never throws for what stands in the line. */
export function rateText(text: string): RatingAnswer {
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch (error) {
    const detail = error instanceof Error ? error.message : 'not JSON'
    return { id: null, error: { code: 'malformedJson', detail, pointer: '' } }
  }
  return rateJson(raw)
}

/** Rates a request as it came, parsed from JSON. */
export function rateJson(raw: unknown): RatingAnswer {
  const id = idOf(raw)
  const parsed = parseRatingRequest(raw)
  if (parsed.kind === 'faulty') return { id, error: parsed.error }
  const outcome = rate(parsed.request)
  return outcome.kind === 'refused' ? { id, error: outcome.error } : ratedJson(id, outcome, parsed.request)
}

function ratedJson(id: RatingRequestId, rated: Rated, request: RatingRequest): RatingAnswer {
  return {
    id,
    amount: toFixedText(rated.amount),
    exactAmount: toText(rated.exactAmount),
    lines: rated.lines.map((line) => ({
      kind: line.kind,
      description: describeLine(line, request),
      quantity: toText(line.quantity),
      unitAmount: toText(line.unitAmount),
      amount: toText(line.amount),
    })),
    explanation: explain(rated, request),
  }
}

function idOf(raw: unknown): RatingRequestId {
  if (typeof raw !== 'object' || raw === null || !('id' in raw)) return null
  return typeof raw.id === 'string' || typeof raw.id === 'number' ? raw.id : null
}

const MEMBERS = [
  'id',
  'currency',
  'quantity',
  ...CHARGE_TERMS_MEMBERS,
  'previousQuantity',
  'part',
  'payment',
  'groups',
  'events',
  'eventCount',
]

/** Reads a rating request. The first fault in the order of the contract is told, with its JSON pointer. */
function parseRatingRequest(raw: unknown): RatingRequestParse {
  const reader = new JsonReader()
  const given = reader.object(raw, '', MEMBERS)
  if (given === null) return faulty(reader.faults[0])
  const object = withoutNulls(given)
  if (object['id'] !== undefined && idOf(raw) === null) {
    reader.fault('invalidRequest', '/id', 'must be text or a number')
  }
  const currency = readCurrency(reader, object)
  if (currency.kind === 'unknown') return faulty(currency.error)
  const terms = readChargeTerms(reader, object, '')
  terms?.discounts.forEach(({ periods }, i) => {
    if (periods === undefined) return
    const detail = 'is for plans: a request is about one period, and the discount is in it or not'
    reader.fault('invalidRequest', member(member('/discounts', i), 'periods'), detail)
  })
  const groups = object['groups'] === undefined ? null : readGroups(reader, object)
  const isMatrix = terms?.price.model === 'matrix'
  const quantity =
    object['quantity'] === undefined && (terms?.price.model === 'flat' || isMatrix)
      ? sumOf(groups ?? [])
      : reader.decimal(object, 'quantity', '')
  const previousQuantity = reader.optionalDecimal(object, 'previousQuantity', '')
  const part = readPart(reader, object)
  const payment = readPayment(reader, object)
  const events = readEvents(reader, object)
  if (terms !== null) checkGroups(reader, isMatrix, quantity, groups, object)
  if (events !== null && object['previousQuantity'] !== undefined) {
    reader.fault(
      'invalidRequest',
      '/previousQuantity',
      'cannot stand beside events: those of the earlier part are unknown',
    )
  }
  if (terms === null || reader.faults.length > 0) return faulty(reader.faults[0])
  return {
    kind: 'request',
    request: {
      ...terms,
      currency: currency.currency,
      quantity,
      ...(previousQuantity === null ? {} : { previousQuantity }),
      ...(part === null ? {} : { part }),
      ...(payment === null ? {} : { payment }),
      ...(groups === null ? {} : { groups }),
      ...(events === null ? {} : { events }),
    },
  }
}

/** A member that is null says as much as one that is absent; what must be there is missing then. */
function withoutNulls(object: JsonObject): JsonObject {
  return Object.values(object).includes(null)
    ? Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null))
    : object
}

function faulty(error: RatingError | undefined): RatingRequestParse {
  if (error === undefined) throw new Error('a reading that failed has a fault')
  return { kind: 'faulty', error }
}

function readCurrency(
  reader: JsonReader,
  object: JsonObject,
): { kind: 'known'; currency: Currency } | { kind: 'unknown'; error: RatingError } {
  const faultsBefore = reader.faults.length
  const code = reader.text(object, 'currency', '')
  const fault = reader.faults[faultsBefore]
  if (fault !== undefined) return { kind: 'unknown', error: fault }
  const currency = parseCurrency(code)
  if (currency !== null) return { kind: 'known', currency }
  const detail = `${JSON.stringify(code.slice(0, 20))} is no currency of ISO 4217; codes are written like "USD"`
  return { kind: 'unknown', error: { code: 'unknownCurrency', detail, pointer: '/currency' } }
}

function readPart(reader: JsonReader, object: JsonObject): PeriodPart | null {
  const raw = object['part']
  if (raw === undefined) return null
  if (raw === 'whole' || raw === 'open' || raw === 'closing') return raw
  reader.fault('invalidRequest', '/part', 'must be whole, open or closing')
  return null
}

function readPayment(reader: JsonReader, object: JsonObject): 'inAdvance' | 'inArrears' | null {
  const raw = object['payment']
  if (raw === undefined) return null
  if (raw === 'inAdvance' || raw === 'inArrears') return raw
  reader.fault('invalidRequest', '/payment', 'must be inAdvance or inArrears')
  return null
}

function readGroups(reader: JsonReader, object: JsonObject): readonly QuantityGroup[] {
  const raw = reader.list(object, 'groups', '')
  if (raw.length > groupsMax) {
    reader.fault('invalidRequest', '/groups', `has more than ${groupsMax} groups`)
    return []
  }
  return raw.flatMap((rawGroup, i): QuantityGroup[] => {
    const at = member('/groups', i)
    const group = reader.object(rawGroup, at, ['match', 'quantity', 'previousQuantity'])
    if (group === null) return []
    const previousQuantity = reader.optionalDecimal(group, 'previousQuantity', at)
    return [
      {
        match: readDimensionValues(reader, group['match'], member(at, 'match'), null),
        quantity: reader.decimal(group, 'quantity', at),
        ...(previousQuantity === null ? {} : { previousQuantity }),
      },
    ]
  })
}

function checkGroups(
  reader: JsonReader,
  isMatrix: boolean,
  quantity: Decimal,
  groups: readonly QuantityGroup[] | null,
  object: JsonObject,
): void {
  if (!isMatrix) {
    if (groups !== null) reader.fault('invalidRequest', '/groups', 'belongs to matrix prices only')
    return
  }
  if (groups === null) {
    reader.fault('invalidRequest', '/groups', 'is missing: a matrix prices groups of usage')
    return
  }
  if (object['previousQuantity'] !== undefined) {
    reader.fault('invalidRequest', '/previousQuantity', 'stands in each group of a matrix')
  }
  if (compare(quantity, sumOf(groups)) !== 0) {
    reader.fault('invalidRequest', '/quantity', 'is not the sum of the quantities of the groups')
  }
}

function sumOf(groups: readonly QuantityGroup[]): Decimal {
  return groups.reduce((sum, group) => add(sum, group.quantity), ZERO)
}

function readEvents(reader: JsonReader, object: JsonObject): EventAmounts | null {
  if (object['events'] === undefined) {
    if (object['eventCount'] === undefined) return null
    return { kind: 'count', count: reader.count(object, 'eventCount', '') }
  }
  if (object['eventCount'] !== undefined) {
    reader.fault('invalidRequest', '/eventCount', 'cannot stand beside events')
  }
  const raw = reader.list(object, 'events', '')
  if (raw.length > eventsMax) {
    reader.fault('invalidRequest', '/events', `has more than ${eventsMax} events`)
    return { kind: 'amounts', amounts: [] }
  }
  return { kind: 'amounts', amounts: raw.map((amount, i) => reader.decimalOf(amount, member('/events', i))) }
}
