import type { SubjectId, TenantId } from '../id/ids.ts'
import type { Interval } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { Meter } from '../usage/meter.ts'
import type { SubjectOwner } from '../usage/usage-query.ts'
import type { Params } from './usage-sql.ts'

/** Which events of a meter are to be counted, as of a cut, and into which groups. */
export interface UsageQuestion {
  readonly tenant: TenantId
  readonly meter: Meter
  readonly interval: Interval
  /** In order, without gaps; they partition the interval. */
  readonly windows: readonly Interval[]
  readonly subjects: readonly SubjectId[] | null
  readonly owners: readonly SubjectOwner[] | null
  readonly byCustomer: boolean
  readonly bySubject: boolean
  readonly groupBy: readonly string[]
  readonly filters: Readonly<Record<string, readonly string[]>>
  readonly cut: Cut
}

/** The columns that part the answer into rows. */
export function groupKeys({ byCustomer, bySubject, groupBy }: UsageQuestion): readonly string[] {
  return [
    'w',
    ...(byCustomer ? ['customer'] : []),
    ...(bySubject ? ['subject'] : []),
    ...groupBy.map((_, i) => `g${i}`),
  ]
}

/** The start of the window that a time in milliseconds lies in. */
export function windowOf(params: Params, { windows }: UsageQuestion, ms: string): string {
  const starts = windows.map(({ start }) => start as number)
  return `roundDown(${ms}, ${params.bind('Array(Int64)', starts)})`
}

/** Rows with `subject` and `ms` joined with whose they are: a row is in at most one span of its subject. */
export function ownedBy(params: Params, rows: string, owners: readonly SubjectOwner[]): string {
  return `SELECT e.*, o.customer AS customer FROM (${rows}) AS e INNER JOIN (${ownerSpans(params, owners)}) AS o
    ON e.subject = o.subject WHERE e.ms >= o.from AND e.ms < o.until`
}

export function ownerSpans(params: Params, owners: readonly SubjectOwner[]): string {
  const subjects = owners.map(({ subject }) => subject as string)
  const customers = owners.map(({ customer }) => customer as string)
  const froms = owners.map(({ from }) => from ?? Number.MIN_SAFE_INTEGER)
  const untils = owners.map(({ until }) => until ?? Number.MAX_SAFE_INTEGER)
  return `SELECT s.1 AS subject, s.2 AS customer, s.3 AS from, s.4 AS until FROM (
      SELECT arrayJoin(arrayZip(${params.bind('Array(String)', subjects)}, ${params.bind('Array(String)', customers)},
        ${params.bind('Array(Int64)', froms)}, ${params.bind('Array(Int64)', untils)})) AS s)`
}
