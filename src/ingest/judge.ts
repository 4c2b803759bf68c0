import { VOID_TYPE } from '../usage/event.ts'
import type { SubjectId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import { PackEncoder } from '../usage/pack-encoder.ts'
import { IdentityHasher, partitionOfHash } from '../usage/partition.ts'
import type { SchemaFault } from './answer.ts'
import type { Target } from './corrections.ts'
import type { DuplicateWindow, FirstCopy } from './duplicate-window.ts'
import { emptyEnvelope, readEnvelope } from './envelope.ts'
import { parseEventTime } from './event-time.ts'
import { plainValue } from './exact-json.ts'
import type { GroupCommit } from './group-commit.ts'
import { ESCAPED_TEXT, isText, type JsonTape } from './json-tape.ts'
import { Pack } from './pack.ts'
import type { EventSchemas, IngestDirectory } from './ports.ts'
import { encodeProperties, isSameText } from './properties.ts'
import { EVENT_LIMITS, REJECTION_DETAILS, type RejectionCode, VOID_SOURCE } from './rejection.ts'
import { awaitPack, type Tally } from './tally.ts'

export interface Judge {
  /** Judges the event at `at` on the tape and writes an accepted one into the open pack of its partition. */
  take(at: number, index: number, tally: Tally): void
  /** Writes that an event no longer counts, once for each event. The target must have been checked. */
  takeVoid(target: Target, reason: string, tally: Tally): void
  /** Judges without taking anything: only `tally.rejected` is filled. */
  check(at: number, index: number, tally: Tally): void
}

export interface JudgeDeps {
  readonly tape: JsonTape
  readonly directory: IngestDirectory
  readonly schemas: EventSchemas
  readonly window: DuplicateWindow
  readonly commit: GroupCommit
  readonly partitions: number
}

const { eventBytesMax, acceptPastMs, acceptAheadMs, timeMsMax } = EVENT_LIMITS

/** Whether the event's own time lies in the accept window, or would have to. */
type Placing = { at: Instant; outside: 'tooOld' | 'inFuture' | 'outsideBackfill' | null }

/**
 * Judges events in the order of REJECTION_CODES. A copy of a known event, the same in every byte, is a duplicate even
 * when it comes too late for the accept window or a schema has changed since; another content under its identity is
 * judged like any event, because it will be kept.
 */
export function createJudge(deps: JudgeDeps): Judge {
  const { tape, directory, schemas, window, commit, partitions } = deps
  const envelope = emptyEnvelope()
  const placing: Placing = { at: 0 as Instant, outside: null }
  const hasher = new IdentityHasher()
  const dryPack = new Pack(0, new PackEncoder())
  let schemaFaults: readonly SchemaFault[] = []

  function reject(code: RejectionCode, index: number, tally: Tally): void {
    const isReadable = envelope.id !== -1 && isText(tape.words[envelope.id])
    const id = isReadable ? tape.text(envelope.id).slice(0, EVENT_LIMITS.idCharsMax).toWellFormed() : ''
    const errors = code === 'schemaMismatch' ? { errors: schemaFaults } : {}
    tally.rejected.push({
      index,
      id: id === '' ? null : id,
      code,
      detail: REJECTION_DETAILS[code],
      ...errors,
    })
  }

  function write(encoder: PackEncoder, at: number): void {
    const { words } = tape
    if (words[at] === ESCAPED_TEXT) encoder.text(tape.text(at))
    else encoder.textBytes(tape.bytes, words[at + 1] as number, words[at + 2] as number)
  }

  function addToHash(at: number): void {
    const { words } = tape
    if (words[at] === ESCAPED_TEXT) hasher.addText(tape.text(at))
    else hasher.addBytes(tape.bytes, words[at + 1] as number, words[at + 2] as number)
  }

  function hashIdentity(tally: Tally): number {
    hasher.begin(tally.tenant)
    addToHash(envelope.source)
    addToHash(envelope.id)
    return hasher.hash()
  }

  /** Reads the event's time into `placing`. */
  function placeInTime(tally: Tally): RejectionCode | null {
    const now = tally.hasTestClocks
      ? directory.nowFor(tally.tenant, tape.text(envelope.subject) as SubjectId)
      : tally.now
    placing.outside = null
    const at = envelope.time === -1 ? now : parseEventTime(tape, envelope.time)
    if (at === null || at < 0 || at > timeMsMax) return 'invalidTime'
    placing.at = at
    if (tally.backfill !== null) {
      const { start, end } = tally.backfill.range
      placing.outside = envelope.time === -1 || at < start || at >= end ? 'outsideBackfill' : null
      return null
    }
    placing.outside = at < now - acceptPastMs ? 'tooOld' : at > now + acceptAheadMs ? 'inFuture' : null
    return null
  }

  /** Begins the event and writes its identity; returns where that ends. */
  function encodeIdentity(encoder: PackEncoder, tally: Tally): number {
    encoder.begin()
    encoder.text(tally.tenant)
    write(encoder, envelope.source)
    write(encoder, envelope.id)
    return encoder.position
  }

  /** Everything behind the identity, to the end of the event; a fault leaves it to be dropped. */
  function encodeRest(encoder: PackEncoder, tally: Tally, isKnown: boolean): RejectionCode | null {
    const timeFault = placeInTime(tally)
    if (timeFault !== null) return timeFault
    if (placing.outside !== null && !isKnown) return placing.outside
    write(encoder, envelope.type)
    write(encoder, envelope.subject)
    encoder.time(placing.at)
    const fault = encodeProperties(tape, envelope.data, encoder)
    if (fault !== null) return fault
    if (!encoder.isWellFormed) return 'invalidText'
    return encoder.position - encoder.eventStart > eventBytesMax ? 'eventTooLarge' : null
  }

  function lookUpType(tally: Tally): void {
    const { type } = tally
    if (type.at !== -1 && isSameText(tape, type.at, envelope.type)) return
    const name = tape.text(envelope.type)
    type.at = envelope.type
    type.isMetered = directory.isMetered(tally.tenant, name)
    type.schema = schemas.of(tally.tenant, name)
  }

  function checkSchema(tally: Tally): RejectionCode | null {
    const { schema } = tally.type
    if (schema === null) return null
    schemaFaults = schema.faultsOf(envelope.data === -1 ? undefined : plainValue(tape, envelope.data))
    return schemaFaults.length === 0 ? null : 'schemaMismatch'
  }

  function sourceFault({ backfill }: Tally): RejectionCode | null {
    return backfill === null || tape.text(envelope.source) === backfill.source ? null : 'foreignSource'
  }

  function take(at: number, index: number, tally: Tally): void {
    const envelopeFault = readEnvelope(tape, at, envelope) ?? sourceFault(tally)
    if (envelopeFault !== null) {
      reject(envelopeFault, index, tally)
      return
    }
    const hash = hashIdentity(tally)
    const pack = commit.openPack(partitionOfHash(hash, partitions))
    const { encoder } = pack
    const identityEnd = encodeIdentity(encoder, tally)
    const first = window.find(hash, encoder.bytes, encoder.eventStart, identityEnd)
    lookUpType(tally)
    const fault = encodeRest(encoder, tally, first !== null)
    if (fault !== null) {
      encoder.dropEvent()
      reject(placing.outside ?? fault, index, tally)
      return
    }
    encoder.endEvent()
    const isCopy = first !== null && sameContent(first, encoder, identityEnd, envelope.time === -1)
    const lateFault = isCopy ? null : (placing.outside ?? checkSchema(tally))
    if (lateFault !== null) {
      encoder.takeBackEvent()
      reject(lateFault, index, tally)
      return
    }
    if (first === null) {
      const length = encoder.position - encoder.eventStart
      window.remember(hash, pack, encoder.eventStart, encoder.count - 1, length)
      tally.accepted++
      if (!directory.knows(tally.tenant, tape.text(envelope.subject) as SubjectId)) tally.unknownSubject++
      if (!tally.type.isMetered) tally.unknownMeter++
      awaitPack(pack, commit.openGroup(), tally)
      tally.places?.push({ id: tape.text(envelope.id), pack, index: encoder.count - 1 })
      return
    }
    tally.duplicates++
    tally.places?.push({ id: tape.text(envelope.id), pack: first.pack, index: first.index })
    awaitPack(first.pack, commit.groupOf(first.pack), tally)
    if (isCopy) encoder.takeBackEvent()
    else {
      // Another content under a known identity: kept on the log, where trace and reconciliation find the conflict.
      tally.conflicts++
      awaitPack(pack, commit.openGroup(), tally)
    }
  }

  function takeVoid(target: Target, reason: string, tally: Tally): void {
    // A URI has no space in it, so that no two targets give one id.
    const id = `${target.source} ${target.id}`
    hasher.begin(tally.tenant)
    hasher.addText(VOID_SOURCE)
    hasher.addText(id)
    const hash = hasher.hash()
    const pack = commit.openPack(partitionOfHash(hash, partitions))
    const { encoder } = pack
    encoder.beginEvent(tally.tenant, VOID_SOURCE, id)
    const first = window.find(hash, encoder.bytes, encoder.eventStart, encoder.position)
    if (first !== null) {
      encoder.dropEvent()
      tally.duplicates++
      awaitPack(first.pack, commit.groupOf(first.pack), tally)
      return
    }
    encoder.describeEvent(VOID_TYPE, '', tally.now)
    encoder.property('target.source', target.source)
    encoder.property('target.id', target.id)
    encoder.property('reason', reason)
    encoder.endEvent()
    const length = encoder.position - encoder.eventStart
    window.remember(hash, pack, encoder.eventStart, encoder.count - 1, length)
    tally.accepted++
    awaitPack(pack, commit.openGroup(), tally)
  }

  function check(at: number, index: number, tally: Tally): void {
    const envelopeFault = readEnvelope(tape, at, envelope) ?? sourceFault(tally)
    if (envelopeFault !== null) {
      reject(envelopeFault, index, tally)
      return
    }
    const { encoder } = dryPack
    encoder.reset()
    const identityEnd = encodeIdentity(encoder, tally)
    const first = window.find(hashIdentity(tally), encoder.bytes, encoder.eventStart, identityEnd)
    lookUpType(tally)
    let fault = encodeRest(encoder, tally, first !== null)
    if (fault === null) {
      encoder.endEvent()
      const isCopy = first !== null && sameContent(first, encoder, identityEnd, envelope.time === -1)
      if (!isCopy) fault = placing.outside ?? checkSchema(tally)
    }
    if (fault !== null) reject(placing.outside ?? fault, index, tally)
  }

  return { take, takeVoid, check }
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
