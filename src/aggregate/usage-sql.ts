import type { SubjectId, TenantId } from '../id/ids.ts'
import type { Interval } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import { VOID_TYPE } from '../usage/event.ts'
import type { Meter } from '../usage/meter.ts'

type Param = string | number | readonly string[] | readonly number[]

/** Collects bound values while a statement's text is put together from constants. */
export class Params {
  readonly values: Record<string, Param> = {}
  #count = 0

  /** Binds a value and returns its placeholder. */
  bind(type: string, value: Param): string {
    const name = `p${this.#count++}`
    this.values[name] = value
    return `{${name}:${type}}`
  }
}

/** Values have at most 29 digits before the point and 9 behind it; sums have room for 10^38 of them. */
const SCALE = 9
/** What is read as a value. Nothing is cut off: zeros behind the ninth digit say nothing. */
const DECIMAL_TEXT = `^-?0*[0-9]{1,29}(\\\\.[0-9]{1,${SCALE}}0*)?$`

/** The value's text of an event; empty when it has none. */
export function valueText(params: Params, meter: Meter): string {
  return meter.valueProperty === undefined ? "''" : `props[${params.bind('String', meter.valueProperty)}]`
}

/** The exact value of a text, NULL when it is not usable. */
export function valueOf(text: string): string {
  return `if(match(${text}, '${DECIMAL_TEXT}'), toDecimal256OrNull(${text}, ${SCALE}), NULL)`
}

export interface EventSelection {
  readonly tenant: TenantId
  readonly meter: Meter
  readonly interval: Interval
  readonly subjects: readonly SubjectId[] | null
  /** Dimension → values. */
  readonly filters: Readonly<Record<string, readonly string[]>>
}

/** Which rows are of the meter, by what they say; not yet which of them count. */
export function selectionCondition(params: Params, selection: EventSelection): string {
  const { tenant, meter, interval, subjects, filters } = selection
  const conditions = [
    `tenant = ${params.bind('String', tenant)}`,
    `type = ${params.bind('String', meter.eventType)}`,
    timeCondition(params, interval),
    ...(subjects === null ? [] : [`subject IN ${params.bind('Array(String)', subjects)}`]),
    ...Object.entries(meter.filters).map(([path, values]) => propertyIn(params, path, values)),
    ...Object.entries(filters).map(([name, values]) =>
      propertyIn(params, dimensionPath(meter, name), values),
    ),
  ]
  return conditions.join('\n  AND ')
}

function propertyIn(params: Params, path: string, values: readonly string[]): string {
  return `props[${params.bind('String', path)}] IN ${params.bind('Array(String)', values)}`
}

export function timeCondition(params: Params, { start, end }: Interval): string {
  return `ts >= fromUnixTimestamp64Milli(${params.bind('Int64', start)}, 'UTC') AND ts < fromUnixTimestamp64Milli(${params.bind('Int64', end)}, 'UTC')`
}

/** @throws RangeError for a dimension that the meter does not have */
export function dimensionPath(meter: Meter, name: string): string {
  const path = Object.hasOwn(meter.groupBy, name) ? meter.groupBy[name] : undefined
  if (path === undefined) throw new RangeError(`the meter ${meter.key} has no dimension ${name}`)
  return path
}

/** Offsets by partition; one that the cut does not name stands at 0. */
export function offsetsOf(cut: Cut): readonly number[] {
  const offsets: number[] = []
  for (const { partition, offset } of cut) {
    while (offsets.length <= partition) offsets.push(0)
    offsets[partition] = offset
  }
  return offsets
}

/** Coordinates before the cut. */
export function beforeCut(params: Params, cut: Cut): string {
  return `ko < ${params.bind('Array(UInt64)', offsetsOf(cut))}[kp + 1]`
}

/**
 * Which rows of `usage_events FINAL` count before a cut: FINAL has united equal keys into the first coordinate, known
 * conflicts are left out, and so is what a void before the cut names, whether it came before its void or after.
 */
export function countsBefore(params: Params, tenant: TenantId, cut: Cut): string {
  const before = beforeCut(params, cut)
  const conflicts = `SELECT kp, ko, ki FROM usage_conflicts WHERE tenant = ${params.bind('String', tenant)}`
  return `${before}
    AND (kp, ko, ki) NOT IN (${conflicts})
    AND (toString(source), id) NOT IN (
      SELECT props['target.source'], props['target.id'] FROM usage_events
      WHERE tenant = ${params.bind('String', tenant)} AND type = '${VOID_TYPE}' AND ${before}
        AND (kp, ko, ki) NOT IN (${conflicts}))`
}
