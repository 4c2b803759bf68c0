import { readRecentEvents } from '../aggregate/recent-events.ts'
import type { CustomerRegistry } from '../customer/customer-registry.ts'
import type { EntitlementValue, MeterQuery, OpenMeterReads } from '../http/compat/openmeter.ts'
import { ProblemError } from '../http/problem.ts'
import type { CustomerKey, MeterKey, SubjectId } from '../id/ids.ts'
import { decimal, isNegative, negate, subtract, toText } from '../money/decimal.ts'
import type { Phase } from '../provision/ladder.ts'
import type { HeldQuota, QuotaBook } from '../provision/quota-book.ts'
import type { Clock } from '../time/clock.ts'
import { instantOf } from '../time/instant.ts'
import type { Directory } from '../ingest/directory.ts'
import type { UsageWindow } from '../usage/usage-query.ts'
import type { Engines } from './engines.ts'
import type { UsageSide } from './event-path.ts'

export interface OpenMeterReadsDeps {
  readonly engines: Pick<Engines, 'store'>
  readonly directory: Pick<Directory, 'meter'>
  readonly usage: Pick<UsageSide, 'reader' | 'journal'>
  readonly book: Pick<QuotaBook, 'heldBy'>
  readonly customers: Pick<CustomerRegistry, 'get'>
  readonly clock: Clock
}

const WINDOWS = { HOUR: 'hour', DAY: 'day', MONTH: 'month' } as const satisfies Record<
  Exclude<NonNullable<MeterQuery['windowSize']>, 'MINUTE'>,
  UsageWindow
>
/** Events of the next minutes are accepted, so "until now" reaches over them. */
const AHEAD_MS = 5 * 60_000
/** As far back as events are listed where a client does not say. */
const LISTED_MS = 24 * 3_600_000

/** OpenMeter's read calls: meters from the usage, entitlements from the quota of the feature's key, events as they count. */
export function createOpenMeterReads(deps: OpenMeterReadsDeps): OpenMeterReads {
  const { engines, directory, usage, book, customers, clock } = deps
  return {
    async meterRows(tenant, key, query) {
      const meter = directory.meter(tenant, key as MeterKey)
      if (meter === null) return null
      const { from, to, windowSize, timezone, subjects } = query
      if (windowSize === 'MINUTE') throw unreadable('windowSize is HOUR, DAY or MONTH here, or absent.')
      if (windowSize !== null && from === null)
        throw unreadable('"from" is needed where windowSize is given.')
      const bySubject = query.groupBy.includes('subject') || subjects.length > 0
      const interval = { start: from ?? instantOf(0), end: to ?? instantOf(clock.now() + AHEAD_MS) }
      const groupBy = query.groupBy.filter((name) => name !== 'subject')
      try {
        const { rows } = await usage.reader.query({
          ...{ tenant, meter, interval, timezone, bySubject, groupBy, filters: {} },
          window: windowSize === null ? 'none' : WINDOWS[windowSize],
          subjects: subjects.length === 0 ? null : (subjects as readonly SubjectId[]),
        })
        return rows.flatMap((row) =>
          // A window whose events all lack a value has no figure, and OpenMeter's rows always have one.
          row.value === null
            ? []
            : [
                {
                  value: row.value,
                  windowStart: row.interval.start,
                  windowEnd: row.interval.end,
                  subject: row.subject ?? null,
                  groupBy: row.group,
                },
              ],
        )
      } catch (error) {
        if (error instanceof RangeError) throw unreadable(error.message)
        throw error
      }
    },
    async entitlement(tenant, holder, feature) {
      if ('customer' in holder && (await customers.get(tenant, holder.customer as CustomerKey)) === null) {
        return null
      }
      const id = 'customer' in holder ? holder.customer : holder.subject
      const held = (await book.heldBy(tenant, id)).filter(({ quota }) => quota.key === feature)
      // The subject's own quota limits first; the customer's is that of all of its subjects together.
      const own =
        held.find((one) => one.holder.kind === ('customer' in holder ? 'customer' : 'subject')) ?? held[0]
      return own === undefined ? null : entitlementOf(own)
    },
    async events(tenant, { from, to, limit }) {
      const end = to ?? instantOf(clock.now() + AHEAD_MS)
      const found = await readRecentEvents(engines.store, {
        ...{ tenant, limit, cut: usage.journal.ends() },
        interval: { start: from ?? instantOf(Math.max(0, end - LISTED_MS)), end },
      })
      return found.map(({ properties, ...event }) => ({ ...event, data: properties }))
    },
  }
}

const WITH_ACCESS: ReadonlySet<string> = new Set(['open', 'grace', 'throttled', 'overage'] satisfies Phase[])

function entitlementOf({ quota, status }: HeldQuota): EntitlementValue {
  const limit = status === null ? quota.limit : status.limit
  const used = decimal(status?.used ?? '0')
  const left = limit === null ? null : subtract(decimal(limit), used)
  return {
    hasAccess: WITH_ACCESS.has(status?.phase ?? 'open'),
    balance: left === null ? null : isNegative(left) ? '0' : toText(left),
    usage: toText(used),
    overage: left === null ? null : isNegative(left) ? toText(negate(left)) : '0',
  }
}

function unreadable(detail: string): ProblemError {
  return new ProblemError({ status: 400, code: 'invalidRequest', title: 'The request is not valid', detail })
}
