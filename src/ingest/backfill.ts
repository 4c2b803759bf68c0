import type { TenantId } from '../id/ids.ts'
import type { Page, PageRequest } from '../id/page.ts'
import type { Instant, Interval } from '../time/instant.ts'
import type { EventLog, Position } from '../usage/event-log.ts'
import { PackEncoder } from '../usage/pack-encoder.ts'
import { partitionOf } from '../usage/partition.ts'
import { EVENT_PARTITIONS, TOPIC_EVENTS } from '../usage/topics.ts'
import type { CanonicalEvent } from '../usage/usage-query.ts'

export type BackfillState = 'open' | 'closing' | 'closed' | 'cancelled'
export type BackfillCommand = 'close' | 'cancel' | 'count'

/** Null: refused. `count` is ours: every event of a closing one has been appended for its tenant. */
const NEXT = {
  open: { close: 'closing', cancel: 'cancelled', count: null },
  closing: { close: 'closing', cancel: null, count: 'closed' },
  closed: { close: 'closed', cancel: null, count: null },
  cancelled: { close: null, cancel: 'cancelled', count: null },
} as const satisfies Record<BackfillState, Record<BackfillCommand, BackfillState | null>>

export function nextBackfillState(state: BackfillState, command: BackfillCommand): BackfillState | null {
  return NEXT[state][command]
}

/** Usage of long ago. Nothing of it counts before it is closed, and all of it at once then. */
export interface Backfill {
  readonly id: string
  readonly tenant: TenantId
  /** Every event's source. */
  readonly source: string
  /** In which the events' times lie. */
  readonly range: Interval
  readonly reason: string
  readonly state: BackfillState
  /** Where the event log ended at the close; null before. */
  readonly cut: readonly Position[] | null
  /** Events that count by it; null until it is closed. */
  readonly events: number | null
  readonly createdAt: Instant
  readonly endedAt: Instant | null
}

/** The tenant in whose name the events stand on the log until the close. No key is of it, so nobody sees or bills them. */
export function stagingTenant({ id }: Pick<Backfill, 'id'>): TenantId {
  return id as TenantId
}

export type BackfillOutcome =
  | { readonly kind: 'done'; readonly backfill: Backfill }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'refused'; readonly state: BackfillState }

export interface Backfills {
  create(backfill: Omit<Backfill, 'state' | 'cut' | 'events' | 'endedAt'>): Promise<Backfill>
  get(tenant: TenantId, id: string): Promise<Backfill | null>
  list(tenant: TenantId, page: PageRequest): Promise<Page<Backfill>>
  /** Runs the task while the backfill is open and cannot be ended. Null: it is not open, and nothing ran. */
  whileOpen<T>(tenant: TenantId, id: string, task: (backfill: Backfill) => Promise<T>): Promise<T | null>
  /** `endOffsets` is asked when no task of `whileOpen` runs any more. */
  close(
    tenant: TenantId,
    id: string,
    endOffsets: () => Promise<readonly Position[]>,
  ): Promise<BackfillOutcome>
  cancel(tenant: TenantId, id: string, at: Instant): Promise<BackfillOutcome>
  /** Runs the task for one backfill that is closing, which nobody else does meanwhile, and ends it. False: there was none. */
  countOne(task: (backfill: Backfill) => Promise<number>, at: () => Instant): Promise<boolean>
}

/** Packs stay below these bounds, which are far below those of a record. */
const PACK_EVENTS_MAX = 1000
const PACK_BYTES_MAX = 262_144

/**
 * Appends events of a backfill for the tenant. Their identities are those of the tenant's source, so doing it again
 * adds copies that do not count. @throws Error when the log did not confirm all of them
 */
export async function appendBackfilled(
  log: Pick<EventLog, 'append'>,
  tenant: TenantId,
  events: readonly CanonicalEvent[],
  now: Instant,
): Promise<void> {
  const open = new Map<number, PackEncoder>()
  const records: { partition: number; value: Uint8Array }[] = []
  const seal = (partition: number, encoder: PackEncoder): void => {
    records.push({ partition, value: encoder.seal(now).record })
    encoder.reset()
  }
  for (const { source, id, type, subject, time, properties } of events) {
    const partition = partitionOf(tenant, source, id, EVENT_PARTITIONS)
    const encoder = open.get(partition) ?? new PackEncoder()
    open.set(partition, encoder)
    encoder.beginEvent(tenant, source, id)
    encoder.describeEvent(type, subject, time)
    for (const [path, value] of Object.entries(properties)) encoder.property(path, value)
    encoder.endEvent()
    if (encoder.count >= PACK_EVENTS_MAX || encoder.byteLength >= PACK_BYTES_MAX) seal(partition, encoder)
  }
  for (const [partition, encoder] of open) if (encoder.count > 0) seal(partition, encoder)
  for (const outcome of await log.append(TOPIC_EVENTS, records)) {
    if (outcome.kind === 'failed') {
      throw new Error(`The log did not confirm events of a backfill: ${outcome.reason}`)
    }
  }
}
