import { type JsonObject, JsonReader } from '../catalog/json-reader.ts'
import { readKey, readOptionalLabel } from '../catalog/label.ts'
import type { PriceOverrides } from '../catalog/price-override.ts'
import type { CustomerKey, PlanKey } from '../id/ids.ts'
import type { EffectiveTime, NewSubscription, PlanChange } from '../subscription/subscription-book.ts'
import { type Instant, parseInstant } from '../time/instant.ts'
import { invalidRequest } from './route-parts.ts'

const reasonCharsMax = 500
const anchorDayMax = 31

/** `{customer, plan, startsAt?, anchorDay?, overrides?}`. @throws ProblemError 400 with every fault */
export function readNewSubscription(
  raw: unknown,
): Pick<NewSubscription, 'customer' | 'plan' | 'startsAt' | 'anchorDay' | 'overrides'> {
  return read(raw, ['customer', 'plan', 'startsAt', 'anchorDay', 'overrides'], (reader, object) => ({
    customer: readKey(reader, object, 'customer', '') as CustomerKey,
    plan: readKey(reader, object, 'plan', '') as PlanKey,
    startsAt: readInstant(reader, object, 'startsAt'),
    anchorDay: readAnchorDay(reader, object),
    overrides: readOverrides(reader, object) ?? {},
  }))
}

/** `{at?, reason?}`; without `at` it is now. @throws ProblemError 400 */
export function readCancel(raw: unknown): { readonly at: EffectiveTime; readonly reason: string | null } {
  return read(raw, ['at', 'reason'], (reader, object) => ({
    at: readEffectiveTime(reader, object),
    reason: readOptionalLabel(reader, object, 'reason', '', reasonCharsMax),
  }))
}

/** `{plan, at?, overrides?}`; without `at` it is now, without overrides the plan's prices count. @throws ProblemError 400 */
export function readPlanChange(raw: unknown): PlanChange {
  return read(raw, ['plan', 'at', 'overrides'], (reader, object) => ({
    plan: readKey(reader, object, 'plan', '') as PlanKey,
    at: readEffectiveTime(reader, object),
    overrides: readOverrides(reader, object) ?? {},
  }))
}

/** `{resumeAt?}`. @throws ProblemError 400 */
export function readPause(raw: unknown): { readonly resumeAt: Instant | null } {
  return read(raw, ['resumeAt'], (reader, object) => ({ resumeAt: readInstant(reader, object, 'resumeAt') }))
}

/** A command that takes no members. @throws ProblemError 400 */
export function readNothing(raw: unknown): void {
  read(raw, [], () => null)
}

function read<T>(
  raw: unknown,
  members: readonly string[],
  readMembers: (reader: JsonReader, object: JsonObject) => T,
): T {
  const reader = new JsonReader()
  const object = reader.object(raw, '', members)
  const result = object === null ? null : { value: readMembers(reader, object) }
  if (result === null || reader.faults.length > 0) throw invalidRequest(reader.faults)
  return result.value
}

function readInstant(reader: JsonReader, object: JsonObject, key: string): Instant | null {
  const raw = object[key]
  if (raw === undefined || raw === null) return null
  const at = typeof raw === 'string' ? parseInstant(raw) : null
  if (at === null) {
    reader.fault('invalidRequest', `/${key}`, 'must be a time of RFC 3339, such as "2026-01-01T00:00:00Z"')
  }
  return at
}

function readEffectiveTime(reader: JsonReader, object: JsonObject): EffectiveTime {
  const raw = object['at']
  if (raw === undefined || raw === null || raw === 'now') return 'now'
  if (raw === 'periodEnd') return raw
  const at = typeof raw === 'string' ? parseInstant(raw) : null
  if (at !== null) return at
  reader.fault(
    'invalidRequest',
    '/at',
    'must be "now", "periodEnd" or a time of RFC 3339, such as "2026-01-01T00:00:00Z"',
  )
  return 'now'
}

function readAnchorDay(reader: JsonReader, object: JsonObject): number | null {
  const raw = object['anchorDay']
  if (raw === undefined || raw === null) return null
  if (typeof raw === 'number' && Number.isInteger(raw) && raw >= 1 && raw <= anchorDayMax) return raw
  reader.fault('invalidRequest', '/anchorDay', `must be a whole number from 1 to ${anchorDayMax}`)
  return null
}

/** What an override may say is for the plan to judge. */
function readOverrides(reader: JsonReader, object: JsonObject): PriceOverrides | null {
  const raw = object['overrides']
  if (raw === undefined || raw === null) return null
  if (typeof raw === 'object' && !Array.isArray(raw)) return raw as PriceOverrides
  reader.fault('invalidRequest', '/overrides', 'must be an object: a price of the plan → what differs')
  return null
}
