import type { SubjectId, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import { PackEncoder } from '../usage/pack-encoder.ts'
import { identityHash, partitionOfHash } from '../usage/partition.ts'
import type { Receipt, Rejection } from './answer.ts'
import type { DuplicateWindow, FirstCopy } from './duplicate-window.ts'
import { emptyEnvelope, readEnvelope } from './envelope.ts'
import { parseEventTime } from './event-time.ts'
import type { Group, GroupCommit } from './group-commit.ts'
import { Pack } from './pack.ts'
import type { IngestDirectory } from './ports.ts'
import { encodeProperties } from './properties.ts'
import { EVENT_LIMITS, REJECTION_DETAILS, type RejectionCode } from './rejection.ts'

/** What is known of a request while its events are judged. */
export interface Tally {
  readonly tenant: TenantId
  /** The clock's reading that judges the events of customers who live by it. */
  readonly now: Instant
  readonly hasTestClocks: boolean
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
}

/** Where an event stands; the pack's offset is known once it is durable. */
export interface Place {
  readonly id: string
  readonly pack: Pack
  readonly index: number
}

export function emptyTally(tenant: TenantId, now: Instant, hasTestClocks: boolean, receipts: boolean): Tally {
  return {
    tenant,
    now,
    hasTestClocks,
    accepted: 0,
    duplicates: 0,
    conflicts: 0,
    unknownMeter: 0,
    unknownSubject: 0,
    rejected: [],
    places: receipts ? [] : null,
    awaited: [],
  }
}

export function receiptOf({ id, pack, index }: Place): Receipt {
  return { id, partition: pack.partition, offset: pack.offset, index }
}

export interface Judge {
  /** Judges one event and writes an accepted one into the open pack of its partition. */
  take(event: unknown, index: number, tally: Tally): void
  /** Judges without taking anything: only `tally.rejected` is filled. */
  check(event: unknown, index: number, tally: Tally): void
}

export interface JudgeDeps {
  readonly directory: IngestDirectory
  readonly window: DuplicateWindow
  readonly commit: GroupCommit
  readonly partitions: number
}

const { eventBytesMax, acceptPastMs, acceptAheadMs } = EVENT_LIMITS

/**
 * Judges events in the order of REJECTION_CODES. An identity that is known skips the accept window: an event that was
 * accepted once and is sent again later is a duplicate, not too old.
 */
export function createJudge({ directory, window, commit, partitions }: JudgeDeps): Judge {
  const envelope = emptyEnvelope()
  const dryPack = new Pack(0, new PackEncoder())
  let lastType = ''
  let lastTypeTenant = ''
  let lastTypeIsMetered = false

  /** Reads the envelope and begins the event in the pack; null when good. */
  function reject(code: RejectionCode, index: number, tally: Tally): void {
    const id = envelope.id === '' ? null : envelope.id.slice(0, EVENT_LIMITS.idCharsMax).toWellFormed()
    tally.rejected.push({ index, id, code, detail: REJECTION_DETAILS[code] })
  }

  /** The event's time; or why it has none that is acceptable. */
  function placeInTime(tally: Tally, isKnown: boolean): Instant | RejectionCode {
    const time = envelope.time
    const parsed = time === null ? null : parseEventTime(time)
    if (time !== null && parsed === null) return 'invalidTime'
    const now = tally.hasTestClocks
      ? directory.nowFor(tally.tenant, envelope.subject as SubjectId)
      : tally.now
    if (parsed === null) return now
    if (isKnown) return parsed
    if (parsed < now - acceptPastMs) return 'tooOld'
    if (parsed > now + acceptAheadMs) return 'inFuture'
    return parsed
  }

  /** Everything behind the identity. Leaves the event ended in the encoder, or says why it is to be dropped. */
  function encodeRest(encoder: PackEncoder, tally: Tally, isKnown: boolean): RejectionCode | null {
    const time = placeInTime(tally, isKnown)
    if (typeof time === 'string') return time
    encoder.describeEvent(envelope.type, envelope.subject, time)
    const fault = encodeProperties(envelope.data, encoder)
    if (fault !== null) return fault
    if (!encoder.isWellFormed) return 'invalidText'
    if (encoder.position - encoder.eventStart > eventBytesMax) return 'eventTooLarge'
    return null
  }

  function awaitPack(pack: Pack, group: Group | undefined, tally: Tally): void {
    if (group === undefined) return // settled: whoever still finds the pack in the window finds it durable
    const bit = 1 << pack.partition
    const last = tally.awaited.at(-1)
    const entry = last?.group === group ? last : tally.awaited.find((one) => one.group === group)
    if (entry === undefined) tally.awaited.push({ group, partitions: bit })
    else entry.partitions |= bit
  }

  function noteAccepted(tally: Tally): void {
    tally.accepted++
    if (!directory.knows(tally.tenant, envelope.subject as SubjectId)) tally.unknownSubject++
    if (envelope.type !== lastType || tally.tenant !== lastTypeTenant) {
      lastType = envelope.type
      lastTypeTenant = tally.tenant
      lastTypeIsMetered = directory.isMetered(tally.tenant, envelope.type)
    }
    if (!lastTypeIsMetered) tally.unknownMeter++
  }

  function take(event: unknown, index: number, tally: Tally): void {
    const envelopeFault = readEnvelope(event, envelope)
    if (envelopeFault !== null) {
      reject(envelopeFault, index, tally)
      return
    }
    const hash = identityHash(tally.tenant, envelope.source, envelope.id)
    const pack = commit.openPack(partitionOfHash(hash, partitions))
    const { encoder } = pack
    encoder.beginEvent(tally.tenant, envelope.source, envelope.id)
    const identityEnd = encoder.position
    const first = window.find(hash, encoder.bytes, encoder.eventStart, identityEnd)
    const fault = encodeRest(encoder, tally, first !== null)
    if (fault !== null) {
      encoder.dropEvent()
      reject(fault, index, tally)
      return
    }
    encoder.endEvent()
    if (first === null) {
      window.remember(
        hash,
        pack,
        encoder.eventStart,
        encoder.count - 1,
        encoder.position - encoder.eventStart,
      )
      noteAccepted(tally)
      awaitPack(pack, commit.openGroup(), tally)
      tally.places?.push({ id: envelope.id, pack, index: encoder.count - 1 })
      return
    }
    tally.duplicates++
    tally.places?.push({ id: envelope.id, pack: first.pack, index: first.index })
    awaitPack(first.pack, commit.groupOf(first.pack), tally)
    if (sameContent(first, encoder, identityEnd, envelope.time === null)) encoder.takeBackEvent()
    else {
      // Another content under a known identity: kept on the log, where trace and reconciliation find the conflict.
      tally.conflicts++
      awaitPack(pack, commit.openGroup(), tally)
    }
  }

  function check(event: unknown, index: number, tally: Tally): void {
    const envelopeFault = readEnvelope(event, envelope)
    if (envelopeFault !== null) {
      reject(envelopeFault, index, tally)
      return
    }
    const { encoder } = dryPack
    encoder.reset()
    encoder.beginEvent(tally.tenant, envelope.source, envelope.id)
    const hash = identityHash(tally.tenant, envelope.source, envelope.id)
    const isKnown = window.find(hash, encoder.bytes, encoder.eventStart, encoder.position) !== null
    const fault = encodeRest(encoder, tally, isKnown)
    if (fault !== null) reject(fault, index, tally)
  }

  return { take, check }
}

/**
 * Whether the event just ended says the same as its first copy, byte for byte. A copy sent without a time got the time
 * of its arrival, which is then left out of the comparison.
 */
function sameContent(
  first: FirstCopy,
  encoder: PackEncoder,
  identityEnd: number,
  timeIsOurs: boolean,
): boolean {
  const { bytes, eventStart, timeStart, position } = encoder
  const shift = first.position - eventStart
  if (!timeIsOurs) return first.pack.holdsAt(identityEnd + shift, bytes, identityEnd, position)
  if (!first.pack.holdsAt(identityEnd + shift, bytes, identityEnd, timeStart)) return false
  let timeEnd = timeStart
  while (((bytes[timeEnd] ?? 0) & 0x80) !== 0) timeEnd++
  let firstTimeEnd = timeStart + shift
  while ((first.pack.byteAt(firstTimeEnd) & 0x80) !== 0) firstTimeEnd++
  return first.pack.holdsAt(firstTimeEnd + 1, bytes, timeEnd + 1, position)
}
