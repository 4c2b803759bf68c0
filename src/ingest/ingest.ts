import type { SubjectId, TenantId } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import type { EventLog } from '../usage/event-log.ts'
import { EVENT_PARTITIONS, TOPIC_EVENTS } from '../usage/topics.ts'
import type { IngestAnswer, UnavailableCode } from './answer.ts'
import { type BodyMode, bodyMode, decodeBody, unpackBody } from './body.ts'
import { ATTRIBUTE_HEADER_PREFIX } from './binary-mode.ts'
import { type Correction, type CorrectionKind, readCorrections } from './corrections.ts'
import { namesOf, rawValue } from './dead-letter.ts'
import type { RejectedEvents } from './dead-letter-buffer.ts'
import { DuplicateWindow } from './duplicate-window.ts'
import { createGroupCommit } from './group-commit.ts'
import { JsonTape, nextValue } from './json-tape.ts'
import { createJudge } from './judge.ts'
import type { EventSchemas, IngestConfig, IngestDirectory, IngestMetrics } from './ports.ts'
import { bodyTooLarge, type Refusal, refused } from './refusal.ts'
import { type BackfillBounds, emptyTally, receiptOf, type Tally } from './tally.ts'

export interface IngestRequest {
  /** Of the caller's key; nothing in the request can say another. */
  readonly tenant: TenantId
  readonly contentType: string | undefined
  readonly contentEncoding: string | undefined
  /** All headers by lower-case name; asked only where a body may be in binary mode. */
  readonly headers: () => Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** All events or none. */
  readonly atomic: boolean
  /** Whether the answer is to say where each event stands on the log. */
  readonly receipts: boolean
  /** A rejected event that is sent again: whoever does it is told, and it is kept already. */
  readonly isRetry?: true
  /** Usage of long ago, which counts only when its backfill is closed. */
  readonly backfill?: BackfillBounds
}

interface CorrectionRequest {
  readonly tenant: TenantId
  readonly kind: CorrectionKind
  readonly contentEncoding: string | undefined
  readonly body: Uint8Array
}

export interface Ingest {
  /** The answer to a request of so many bytes if it cannot be taken now: asked before its body is read. */
  readonly shed: (bytes: number) => IngestAnswer | null
  /** Judges the events of a request, appends the good ones and answers when they are durable. */
  readonly accept: (request: IngestRequest) => Promise<IngestAnswer>
  /** Takes events back, with others in their place for `amend`. Counts corrections, not events. */
  readonly correct: (request: CorrectionRequest) => Promise<IngestAnswer>
  /** Takes nothing more; resolves when everything taken before is answered. */
  readonly drain: () => Promise<void>
}

export interface IngestDeps {
  readonly log: Pick<EventLog, 'append'>
  readonly directory: IngestDirectory
  /** Absent: no event type has a schema. */
  readonly schemas?: EventSchemas
  /** The system's clock: when events arrived, and "now" of customers without a test clock. */
  readonly clock: Clock
  readonly metrics: IngestMetrics
  readonly config: IngestConfig
  /** Where rejected events are kept; absent: nowhere. Corrections are not: they are no events. */
  readonly rejectedEvents?: RejectedEvents
  /** Told why an append failed; clients are told only that it did. */
  readonly onFault?: (reason: unknown) => void
}

const NO_SCHEMAS: EventSchemas = { of: () => null }
const DUPLICATE_WINDOW_BYTES = 67_108_864
/** Longest wait for the log: what is not durable by then may still become so, which a client that comes again finds out. */
const ANSWER_MS_MAX = 5_000
const RETRY_OVERLOADED_SECONDS = 1
const RETRY_LOG_SECONDS = 2
const RETRY_DRAINING_SECONDS = 5

const UNAVAILABLE: Readonly<
  Record<UnavailableCode, { readonly detail: string; readonly retryAfterSeconds: number }>
> = {
  overloaded: {
    detail: 'More is waiting for the log than may wait. Send the same events again after the pause.',
    retryAfterSeconds: RETRY_OVERLOADED_SECONDS,
  },
  logUnavailable: {
    detail:
      'The log did not confirm the events. Some of them may be on it: send all of them again with the same ids, each counts once.',
    retryAfterSeconds: RETRY_LOG_SECONDS,
  },
  draining: {
    detail: 'This process is shutting down. Send the same events again.',
    retryAfterSeconds: RETRY_DRAINING_SECONDS,
  },
}

/** Stage 1: accept, judge, pack, append, answer. See README.md of this folder for the invariants. */
export function createIngest(deps: IngestDeps): Ingest {
  const { log, directory, clock, metrics, config } = deps
  const { requestBytesMax, requestEventsMax, queueBytesMax, answerMsMax = ANSWER_MS_MAX } = config
  const window = new DuplicateWindow(config.duplicateWindowBytesMax ?? DUPLICATE_WINDOW_BYTES)
  const commit = createGroupCommit({
    log,
    topic: TOPIC_EVENTS,
    partitions: EVENT_PARTITIONS,
    clock,
    metrics,
    onFailed: (reason) => {
      window.clear()
      deps.onFault?.(reason)
    },
  })
  /** One for all: from reading a body onto it to the last of its events nothing else runs. */
  const tape = new JsonTape()
  const schemas = deps.schemas ?? NO_SCHEMAS
  const judge = createJudge({ tape, directory, schemas, window, commit, partitions: EVENT_PARTITIONS })
  let bytesPending = 0
  let requestsPending = 0
  let whenIdle: (() => void) | null = null
  let isDraining = false
  metrics.observeQueue(() => bytesPending)
  metrics.observeDuplicateWindow(() => window.entries)

  function unavailable(code: UnavailableCode): IngestAnswer {
    metrics.requestRefused(code)
    return { kind: 'unavailable', code, ...UNAVAILABLE[code] }
  }

  function refuse(refusal: Refusal): IngestAnswer {
    metrics.requestRefused(refusal.code)
    return refusal
  }

  function shed(bytes: number): IngestAnswer | null {
    if (isDraining) return unavailable('draining')
    if (bytes > requestBytesMax) return refuse(bodyTooLarge(requestBytesMax))
    return bytesPending + bytes > queueBytesMax ? unavailable('overloaded') : null
  }

  /**
   * Unpacks the body and hands it on, counted as pending until the log has said what became of it. A request does not
   * wait that long: after a while it is told to come again, with the same ids.
   */
  async function withBody(
    body: Uint8Array,
    encoding: string | undefined,
    handle: (body: Uint8Array) => Promise<IngestAnswer>,
  ): Promise<IngestAnswer> {
    const isPacked = encoding !== undefined && encoding !== 'identity'
    // Packed bodies are counted at the size they may unfold to, before they do.
    const bytes = isPacked ? Math.max(body.length, Math.min(requestBytesMax, queueBytesMax)) : body.length
    const turnedAway = shed(bytes)
    if (turnedAway !== null) return turnedAway
    bytesPending += bytes
    requestsPending++
    const handled = (isPacked ? unpackAndHandle(body, encoding, handle) : handle(body)).finally(() => {
      bytesPending -= bytes
      requestsPending--
      if (requestsPending === 0) whenIdle?.()
    })
    return withinLimit(handled, answerMsMax, () => unavailable('logUnavailable'))
  }

  async function unpackAndHandle(
    body: Uint8Array,
    encoding: string,
    handle: (body: Uint8Array) => Promise<IngestAnswer>,
  ): Promise<IngestAnswer> {
    const unpacked = await unpackBody(encoding, body, requestBytesMax)
    return unpacked.kind === 'refused' ? refuse(unpacked) : handle(unpacked.bytes)
  }

  async function accept(request: IngestRequest): Promise<IngestAnswer> {
    const mode = bodyMode(request.contentType, () => hasBinaryAttributes(request.headers()))
    if (mode === null) return refuse(unsupportedMediaType(request.contentType))
    return withBody(request.body, request.contentEncoding, (body) => admit(request, mode, body))
  }

  async function admit(request: IngestRequest, mode: BodyMode, body: Uint8Array): Promise<IngestAnswer> {
    const decoded = decodeBody(mode, body, request.contentType, request.headers, requestEventsMax, tape)
    if (decoded.kind === 'refused') return refuse(decoded)
    const { first, count } = decoded
    const { words } = tape
    const { tenant } = request
    const tally = emptyTally(
      tenant,
      clock.now(),
      directory.hasTestClocks(tenant),
      request.receipts,
      request.backfill,
    )
    let told = 0
    if (request.atomic) {
      for (let i = 0, at = first; i < count; i++, at = nextValue(words, at)) {
        judge.check(at, i, tally)
        if (tally.rejected.length > told) keepRejected(at, request, tally, told++)
      }
      if (tally.rejected.length > 0) {
        noteRejections(tally)
        return refuse(batchRejected(tally, count))
      }
    }
    // From here to the last event nothing else runs: a group is never appended with half an event in it.
    for (let i = 0, at = first; i < count; i++, at = nextValue(words, at)) {
      judge.take(at, i, tally)
      if (tally.rejected.length > told) keepRejected(at, request, tally, told++)
    }
    noteRejections(tally)
    return (await settle(tally)) ?? answerOf(tally)
  }

  /** Copies what must outlive the request, for the bytes and the tape are used again. */
  function keepRejected(at: number, { tenant, isRetry }: IngestRequest, tally: Tally, nth: number): void {
    const { rejectedEvents } = deps
    const rejection = tally.rejected[nth]
    if (isRetry === true || rejection === undefined || rejectedEvents?.hasRoom() !== true) return
    const named = namesOf(tape, at)
    const arrivedAt =
      tally.hasTestClocks && named.subject !== null
        ? directory.nowFor(tenant, named.subject as SubjectId)
        : tally.now
    const { code, detail, errors = [] } = rejection
    const reason = { code, detail, errors }
    rejectedEvents.keep({ tenant, reason, named, raw: rawValue(tape, at), arrivedAt, now: tally.now })
  }

  async function correct({ tenant, kind, contentEncoding, body }: CorrectionRequest): Promise<IngestAnswer> {
    return withBody(body, contentEncoding, async (bytes) => {
      const read = readCorrections(kind, bytes, requestEventsMax)
      if (read.kind === 'refused') return refuse(read)
      const tally = emptyTally(tenant, clock.now(), directory.hasTestClocks(tenant), false)
      tally.rejected.push(...read.rejected)
      let accepted = 0
      for (const correction of read.corrections) {
        const before = tally.accepted
        if (takeCorrection(correction, tally) && tally.accepted > before) accepted++
      }
      tally.rejected.sort((a, b) => a.index - b.index)
      noteRejections(tally)
      const { rejected } = tally
      const duplicates = read.corrections.length + read.rejected.length - rejected.length - accepted
      return (await settle(tally)) ?? { kind: 'accepted', accepted, duplicates, rejected }
    })
  }

  /** Both or neither: nothing is taken back for an event that cannot take its place. */
  function takeCorrection({ index, target, reason, replacement }: Correction, tally: Tally): boolean {
    if (replacement === null) {
      judge.takeVoid(target, reason, tally)
      return true
    }
    tally.type.at = -1
    if (tape.read(replacement) !== null) throw new Error('a replacement that was written is not JSON')
    const rejected = tally.rejected.length
    judge.check(0, index, tally)
    if (tally.rejected.length > rejected) return false
    judge.takeVoid(target, reason, tally)
    judge.take(0, index, tally)
    return true
  }

  /** Waits until everything that the request took is durable; else says that it is not. */
  async function settle(tally: Tally): Promise<IngestAnswer | null> {
    // All are asked before any is awaited: a group answers only those who asked before it settled.
    const [only, ...more] = tally.awaited
    const isDurable =
      only === undefined
        ? true
        : more.length === 0
          ? await commit.durable(only.group, only.partitions)
          : (await Promise.all(tally.awaited.map((one) => commit.durable(one.group, one.partitions)))).every(
              Boolean,
            )
    if (!isDurable) return unavailable('logUnavailable')
    const { accepted, duplicates, rejected, unknownMeter, unknownSubject, conflicts } = tally
    metrics.requestJudged({
      accepted,
      duplicates,
      rejected: rejected.length,
      unknownMeter,
      unknownSubject,
      conflicts,
    })
    return null
  }

  function noteRejections(tally: Tally): void {
    for (const { code } of tally.rejected) metrics.eventRejected(code)
  }

  return {
    shed,
    accept,
    correct,
    async drain() {
      isDraining = true
      if (requestsPending === 0) return
      await new Promise<void>((resolve) => {
        whenIdle = resolve
      })
    },
  }
}

function answerOf({ accepted, duplicates, rejected, places }: Tally): IngestAnswer {
  const answer = { kind: 'accepted', accepted, duplicates, rejected } as const
  return places === null ? answer : { ...answer, receipts: places.map(receiptOf) }
}

function hasBinaryAttributes(headers: Readonly<Record<string, string>>): boolean {
  for (const name in headers) if (name.startsWith(ATTRIBUTE_HEADER_PREFIX)) return true
  return false
}

function unsupportedMediaType(contentType: string | undefined): Refusal {
  const sent = contentType === undefined ? 'none' : JSON.stringify(contentType.slice(0, 100))
  return refused(
    'unsupportedMediaType',
    `Content-Type is ${sent}; send application/cloudevents-batch+json, application/cloudevents+json, or the ce- headers of binary mode.`,
  )
}

function batchRejected({ rejected }: Tally, events: number): Refusal {
  const detail = `Nothing was taken: ${rejected.length} of ${events} events are not acceptable, and the request asked for all or none.`
  return { kind: 'refused', code: 'batchRejected', detail, rejected }
}

/** What is answered, or what stands in for it when that takes too long. */
function withinLimit<T>(answer: Promise<T>, limitMs: number, otherwise: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(otherwise()), limitMs)
    answer.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error instanceof Error ? error : new Error(String(error)))
      },
    )
  })
}
