import { type JsonObject, JsonReader, member } from '../catalog/json-reader.ts'
import { readLabel, readOptionalLabel, requireLabel } from '../catalog/label.ts'
import type { CustomerKey, SubjectId, TestClockId } from '../id/ids.ts'
import { type Currency, parseCurrency } from '../money/currency.ts'
import { compare, ONE, parseDecimal, toText } from '../money/decimal.ts'
import { isTimeZone } from '../time/calendar.ts'
import type { BillingDetails, CustomerDefinition, CustomerTaxRate, PostalAddress } from './customer.ts'

/** One fault of a body, by JSON pointer. */
interface CustomerFault {
  readonly pointer: string
  readonly detail: string
}

export type CustomerParse =
  | { readonly kind: 'customer'; readonly definition: CustomerDefinition }
  | { readonly kind: 'faulty'; readonly faults: readonly CustomerFault[] }

const textCharsMax = 200
const subjectCharsMax = 255
const subjectsMax = 10_000
const taxRatesMax = 8
const paymentTermsDaysMax = 365

const MEMBERS = ['name', 'subjects', 'currency', 'timezone', 'billing', 'testClock'] as const
const BILLING_MEMBERS = [
  'legalName',
  'email',
  'address',
  'taxId',
  'paymentTermsDays',
  'purchaseOrder',
  'taxRates',
] as const
const ADDRESS_MEMBERS = ['line1', 'line2', 'city', 'region', 'postalCode', 'country'] as const
const EMAIL = /^[^\s@]+@[^\s@]+$/

/**
 * Reads `{name, subjects?, currency, timezone, billing?, testClock?}` as it came from outside and finds every fault
 * in one pass. A customer that names no subjects has one: its own key.
 */
export function parseCustomer(raw: unknown, key: CustomerKey): CustomerParse {
  const reader = new JsonReader()
  const object = reader.object(raw, '', MEMBERS)
  if (object === null) return { kind: 'faulty', faults: reader.faults }
  const name = readLabel(reader, object, 'name', '', textCharsMax)
  const subjects = readSubjects(reader, object, key)
  const currency = readCurrency(reader, object)
  const timezone = readTimezone(reader, object)
  const billing = readBilling(reader, object['billing'])
  const testClock = readOptionalLabel(reader, object, 'testClock', '', textCharsMax)
  if (currency === null || reader.faults.length > 0) return { kind: 'faulty', faults: reader.faults }
  return {
    kind: 'customer',
    definition: {
      name,
      subjects,
      currency,
      timezone,
      billing,
      testClock: testClock === null ? null : (testClock as TestClockId),
    },
  }
}

function readSubjects(reader: JsonReader, object: JsonObject, key: CustomerKey): readonly SubjectId[] {
  if (object['subjects'] === undefined) return [key as string as SubjectId]
  const raw = reader.list(object, 'subjects', '')
  if (raw.length > subjectsMax)
    reader.fault('invalidRequest', '/subjects', `must list at most ${subjectsMax}`)
  const subjects: string[] = []
  for (const [index, subject] of raw.slice(0, subjectsMax).entries()) {
    const pointer = member('/subjects', index)
    if (typeof subject === 'string') {
      requireLabel(reader, subject, pointer, subjectCharsMax)
      subjects.push(subject)
    } else reader.fault('invalidRequest', pointer, 'must be text: the subject of usage events')
  }
  return [...new Set(subjects)] as SubjectId[]
}

function readCurrency(reader: JsonReader, object: JsonObject): Currency | null {
  const faultsBefore = reader.faults.length
  const code = reader.text(object, 'currency', '')
  const currency = parseCurrency(code)
  if (currency === null && reader.faults.length === faultsBefore) {
    reader.fault('invalidRequest', '/currency', 'must be a currency of ISO 4217 in capitals, such as "USD"')
  }
  return currency
}

function readTimezone(reader: JsonReader, object: JsonObject): string {
  const faultsBefore = reader.faults.length
  const zone = reader.text(object, 'timezone', '')
  if (reader.faults.length === faultsBefore && !isNamedZone(zone)) {
    reader.fault('invalidRequest', '/timezone', 'must be an IANA time zone, such as "Europe/Berlin" or "UTC"')
  }
  return zone
}

/** A fixed offset is no zone to bill by: it would be an hour off for half of the year. */
function isNamedZone(zone: string): boolean {
  return /^[A-Za-z]/.test(zone) && isTimeZone(zone)
}

function readBilling(reader: JsonReader, raw: unknown): BillingDetails {
  if (raw === undefined || raw === null) return {}
  const object = reader.object(raw, '/billing', BILLING_MEMBERS)
  if (object === null) return {}
  const legalName = readOptionalLabel(reader, object, 'legalName', '/billing', textCharsMax)
  const email = readOptionalLabel(reader, object, 'email', '/billing', textCharsMax)
  if (email !== null && !EMAIL.test(email)) {
    reader.fault('invalidRequest', '/billing/email', 'must be an e-mail address')
  }
  const taxId = readOptionalLabel(reader, object, 'taxId', '/billing', textCharsMax)
  const purchaseOrder = readOptionalLabel(reader, object, 'purchaseOrder', '/billing', textCharsMax)
  const address = readAddress(reader, object['address'])
  const paymentTermsDays = readPaymentTerms(reader, object['paymentTermsDays'])
  const taxRates = readTaxRates(reader, object)
  return {
    ...(legalName === null ? {} : { legalName }),
    ...(email === null ? {} : { email }),
    ...(address === null ? {} : { address }),
    ...(taxId === null ? {} : { taxId }),
    ...(paymentTermsDays === null ? {} : { paymentTermsDays }),
    ...(purchaseOrder === null ? {} : { purchaseOrder }),
    ...(taxRates === null ? {} : { taxRates }),
  }
}

function readAddress(reader: JsonReader, raw: unknown): PostalAddress | null {
  if (raw === undefined || raw === null) return null
  const object = reader.object(raw, '/billing/address', ADDRESS_MEMBERS)
  if (object === null) return null
  const parts: [string, string][] = []
  for (const name of ADDRESS_MEMBERS) {
    const text = readOptionalLabel(reader, object, name, '/billing/address', textCharsMax)
    if (text !== null) parts.push([name, text])
  }
  const address: PostalAddress = Object.fromEntries(parts)
  if (address.country !== undefined && !/^[A-Z]{2}$/.test(address.country)) {
    reader.fault('invalidRequest', '/billing/address/country', 'must be a country of ISO 3166, such as "DE"')
  }
  return address
}

function readPaymentTerms(reader: JsonReader, raw: unknown): number | null {
  if (raw === undefined || raw === null) return null
  if (typeof raw === 'number' && Number.isInteger(raw) && raw >= 0 && raw <= paymentTermsDaysMax) return raw
  reader.fault(
    'invalidRequest',
    '/billing/paymentTermsDays',
    `must be a whole number of days from 0 to ${paymentTermsDaysMax}`,
  )
  return null
}

function readTaxRates(reader: JsonReader, billing: JsonObject): readonly CustomerTaxRate[] | null {
  if (billing['taxRates'] === undefined || billing['taxRates'] === null) return null
  const list = reader.list(billing, 'taxRates', '/billing')
  if (list.length > taxRatesMax) {
    reader.fault('invalidRequest', '/billing/taxRates', `must list at most ${taxRatesMax}`)
  }
  return list.slice(0, taxRatesMax).map((raw, index) => {
    const pointer = member('/billing/taxRates', index)
    const object = reader.object(raw, pointer, ['name', 'rate'])
    if (object === null) return { name: '', rate: '0' }
    const name = readLabel(reader, object, 'name', pointer, textCharsMax)
    const given = object['rate']
    const rate = typeof given === 'string' ? parseDecimal(given) : null
    if (rate?.kind !== 'decimal' || rate.value.coefficient < 0n || compare(rate.value, ONE) > 0) {
      reader.fault(
        'invalidRequest',
        member(pointer, 'rate'),
        'must be a share in quotes from "0" to "1", such as "0.19"',
      )
      return { name, rate: '0' }
    }
    return { name, rate: toText(rate.value) }
  })
}
