import type { TenantId } from '../id/ids.ts'
import type { Instant, Interval } from '../time/instant.ts'
import type { Receipt, Rejection } from './answer.ts'
import type { Group } from './group-commit.ts'
import type { Pack } from './pack.ts'
import type { EventSchema } from './ports.ts'

/** Of a backfill's events: the one source that they may have, and the range in which their times must lie. */
export interface BackfillBounds {
  readonly source: string
  readonly range: Interval
}

/** What is known of a request while its events are judged. */
export interface Tally {
  readonly tenant: TenantId
  /** The clock's reading that judges the events of customers who live by it. */
  readonly now: Instant
  readonly hasTestClocks: boolean
  /** Null on the normal path, where the accept window bounds an event's time. */
  readonly backfill: BackfillBounds | null
  accepted: number
  duplicates: number
  conflicts: number
  unknownMeter: number
  unknownSubject: number
  readonly rejected: Rejection[]
  /** Null where receipts were not asked for. */
  readonly places: Place[] | null
  /** What must be durable before the request is answered: groups, and their partitions as bits. */
  readonly awaited: { readonly group: Group; partitions: number }[]
  /** What is known of the type of the event before, which most requests have only one of. */
  readonly type: { at: number; isMetered: boolean; schema: EventSchema | null }
}

/** Where an event stands; the pack's offset is known once it is durable. */
export interface Place {
  readonly id: string
  readonly pack: Pack
  readonly index: number
}

export function emptyTally(
  tenant: TenantId,
  now: Instant,
  hasTestClocks: boolean,
  receipts: boolean,
  backfill: BackfillBounds | null = null,
): Tally {
  return {
    tenant,
    now,
    hasTestClocks,
    backfill,
    accepted: 0,
    duplicates: 0,
    conflicts: 0,
    unknownMeter: 0,
    unknownSubject: 0,
    rejected: [],
    places: receipts ? [] : null,
    awaited: [],
    type: { at: -1, isMetered: false, schema: null },
  }
}

export function receiptOf({ id, pack, index }: Place): Receipt {
  return { id, partition: pack.partition, offset: pack.offset, index }
}

/** The request is answered only when the pack is durable. A pack without a group has settled already. */
export function awaitPack(pack: Pack, group: Group | undefined, { awaited }: Tally): void {
  if (group === undefined) return
  const bit = 1 << pack.partition
  const last = awaited.at(-1)
  const entry = last?.group === group ? last : awaited.find((one) => one.group === group)
  if (entry === undefined) awaited.push({ group, partitions: bit })
  else entry.partitions |= bit
}
