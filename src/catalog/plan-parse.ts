import type { MeterKey } from '../id/ids.ts'
import { type Currency, parseCurrency } from '../money/currency.ts'
import { compare } from '../money/decimal.ts'
import { BILLING_INTERVALS } from '../time/billing-period.ts'
import { type Instant, parseInstant } from '../time/instant.ts'
import { type JsonObject, JsonReader, member } from './json-reader.ts'
import { readChoice, readKey, readLabel } from './label.ts'
import {
  CORRECTION_POLICIES,
  PAYMENTS,
  PLAN_TOTAL_KEY,
  type PlanDefinition,
  type PlanPrice,
  VERSION_POLICIES,
  type VersionPolicy,
} from './plan.ts'
import { CHARGE_TERMS_MEMBERS, readChargeTerms } from './price-parse.ts'

/** One fault of a body, by JSON pointer. */
export interface PlanFault {
  readonly pointer: string
  readonly detail: string
}

/** A plan as it came from outside, and what it says of its coming into force. */
export interface PlanDraft {
  readonly definition: PlanDefinition
  /** Absent: at once. */
  readonly effectiveAt: Instant | null
  /** Absent: existing subscriptions keep what they bought. */
  readonly existingSubscriptions: VersionPolicy
}

export type PlanParse =
  | { readonly kind: 'plan'; readonly draft: PlanDraft }
  | { readonly kind: 'faulty'; readonly faults: readonly PlanFault[] }

const nameCharsMax = 200
const pricesMax = 500

const DOCUMENT_MEMBERS = [
  'name',
  'currency',
  'interval',
  'prices',
  'corrections',
  'minimum',
  'maximum',
] as const
const PRICE_MEMBERS = ['key', 'name', 'meter', 'payment'] as const

/**
 * Reads `{name, currency, interval, prices: […], corrections?, minimum?, maximum?, effectiveAt?, existingSubscriptions?}` as it came from outside and
 * finds every fault in one pass. Whether its meters exist is for the catalog to say.
 */
export function parsePlan(raw: unknown): PlanParse {
  const reader = new JsonReader()
  const object = reader.object(raw, '', [...DOCUMENT_MEMBERS, 'effectiveAt', 'existingSubscriptions'])
  if (object === null) return { kind: 'faulty', faults: reader.faults }
  const name = readLabel(reader, object, 'name', '', nameCharsMax)
  const currency = readCurrency(reader, object)
  const interval = readChoice(reader, object, 'interval', '', BILLING_INTERVALS)
  const prices = readPrices(reader, object)
  const effectiveAt = readEffectiveAt(reader, object)
  const corrections =
    object['corrections'] === undefined
      ? 'nextInvoice'
      : readChoice(reader, object, 'corrections', '', CORRECTION_POLICIES)
  const bounds = readBounds(reader, object, prices)
  const existingSubscriptions =
    object['existingSubscriptions'] === undefined
      ? 'grandfather'
      : readChoice(reader, object, 'existingSubscriptions', '', VERSION_POLICIES)
  if (
    currency === null ||
    interval === null ||
    corrections === null ||
    existingSubscriptions === null ||
    reader.faults.length > 0
  ) {
    return { kind: 'faulty', faults: reader.faults }
  }
  const document = Object.fromEntries(
    DOCUMENT_MEMBERS.flatMap((key) => (object[key] === undefined ? [] : [[key, object[key]]])),
  )
  return {
    kind: 'plan',
    draft: {
      definition: { name, currency, interval, corrections, ...bounds, prices, document },
      effectiveAt,
      existingSubscriptions,
    },
  }
}

/** Reads back what `parsePlan` accepted. @throws Error when a stored document is not one */
export function planOfDocument(document: unknown): PlanDefinition {
  const parsed = parsePlan(document)
  if (parsed.kind === 'plan') return parsed.draft.definition
  throw new Error(
    `a stored plan is faulty: ${parsed.faults.map((f) => `${f.pointer} ${f.detail}`).join('; ')}`,
  )
}

function readCurrency(reader: JsonReader, object: JsonObject): Currency | null {
  const faultsBefore = reader.faults.length
  const currency = parseCurrency(reader.text(object, 'currency', ''))
  if (currency === null && reader.faults.length === faultsBefore) {
    reader.fault('invalidRequest', '/currency', 'must be a currency of ISO 4217 in capitals, such as "USD"')
  }
  return currency
}

function readBounds(
  reader: JsonReader,
  object: JsonObject,
  prices: readonly PlanPrice[],
): Pick<PlanDefinition, 'minimum' | 'maximum'> {
  const minimum = reader.optionalDecimal(object, 'minimum', '')
  const maximum = reader.optionalDecimal(object, 'maximum', '')
  if (minimum !== null && maximum !== null && compare(minimum, maximum) > 0) {
    reader.fault('invalidRequest', '/minimum', 'must not be above the maximum')
  }
  const taken = prices.findIndex(({ key }) => key === PLAN_TOTAL_KEY)
  if ((minimum !== null || maximum !== null) && taken !== -1) {
    reader.fault(
      'invalidRequest',
      member(member('/prices', taken), 'key'),
      `"${PLAN_TOTAL_KEY}" is the key of the plan's minimum and maximum on invoices`,
    )
  }
  return { minimum, maximum }
}

function readEffectiveAt(reader: JsonReader, object: JsonObject): Instant | null {
  const raw = object['effectiveAt']
  if (raw === undefined || raw === null) return null
  const at = typeof raw === 'string' ? parseInstant(raw) : null
  if (at === null) {
    reader.fault(
      'invalidRequest',
      '/effectiveAt',
      'must be a time of RFC 3339, such as "2026-01-01T00:00:00Z"',
    )
  }
  return at
}

function readPrices(reader: JsonReader, object: JsonObject): readonly PlanPrice[] {
  const list = reader.list(object, 'prices', '')
  if (list.length === 0 && Array.isArray(object['prices'])) {
    reader.fault('invalidRequest', '/prices', 'must list at least one price')
  }
  if (list.length > pricesMax)
    reader.fault('invalidRequest', '/prices', `must list at most ${pricesMax} prices`)
  const prices: PlanPrice[] = []
  const keys = new Set<string>()
  for (const [index, raw] of list.slice(0, pricesMax).entries()) {
    const pointer = member('/prices', index)
    const price = readPlanPrice(reader, raw, pointer)
    if (price === null) continue
    if (keys.has(price.key)) {
      reader.fault('invalidRequest', member(pointer, 'key'), `"${price.key}" is the key of an earlier price`)
    }
    keys.add(price.key)
    prices.push(price)
  }
  return prices
}

function readPlanPrice(reader: JsonReader, raw: unknown, pointer: string): PlanPrice | null {
  const object = reader.object(raw, pointer, [...PRICE_MEMBERS, ...CHARGE_TERMS_MEMBERS])
  if (object === null) return null
  const key = readKey(reader, object, 'key', pointer)
  const name = readLabel(reader, object, 'name', pointer, nameCharsMax)
  const hasMeter = object['meter'] !== undefined && object['meter'] !== null
  const meter = hasMeter ? (readKey(reader, object, 'meter', pointer) as MeterKey) : null
  const payment = readChoice(reader, object, 'payment', pointer, PAYMENTS)
  const terms = readChargeTerms(reader, object, pointer)
  if (payment === null || terms === null) return null
  if (meter === null && terms.price.model !== 'flat') {
    reader.fault(
      'invalidRequest',
      member(pointer, 'meter'),
      `is missing: a ${terms.price.model} price needs a quantity; without a meter only "flat" makes sense`,
    )
  }
  if (meter !== null && payment === 'inAdvance') {
    reader.fault(
      'invalidRequest',
      member(pointer, 'payment'),
      'must be "inArrears": usage is not known before the period has ended',
    )
  }
  return { key, name, meter, payment, terms }
}
