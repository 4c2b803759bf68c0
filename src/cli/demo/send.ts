import { basename } from 'node:path'
import type { ApiClient } from '../api-client.ts'
import { type BatchAnswer, createLane, type EventText, sendBatch } from '../event-batches.ts'
import { CliFailure, Interrupted } from '../failure.ts'
import type { Progress } from '../progress.ts'
import { CUSTOMER, EVENT_TYPE } from './catalog.ts'
import { readTrace, type TraceRow } from './trace.ts'

const BATCH_EVENTS = 100
/** Every tenth batch goes out a second time, as a service does that has not seen the answer. */
const REPEAT_EVERY = 10
const IN_FLIGHT_MAX = 4

export interface SentSoFar {
  /** Events that went out, repeats included. */
  sent: number
  accepted: number
  duplicates: number
  batches: number
  repeatedBatches: number
}

/** The `source` of a trace's events: the file's name, as a URI reference. */
function sourceOf(path: string): string {
  return encodeURIComponent(basename(path))
}

function toEvent(row: TraceRow, source: string): EventText {
  const tokens = (text: string): number | string => {
    const value = Number(text)
    return Number.isSafeInteger(value) ? value : text
  }
  return JSON.stringify({
    specversion: '1.0',
    type: EVENT_TYPE,
    source,
    id: String(row.row),
    subject: CUSTOMER,
    time: row.time,
    data: { contextTokens: tokens(row.contextTokens), generatedTokens: tokens(row.generatedTokens) },
  })
}

export interface SendMonthOptions {
  readonly api: ApiClient
  readonly path: string
  readonly month: string
  readonly soFar: SentSoFar
  readonly progress: Progress
  readonly interrupted: AbortSignal
}

/** Sends the rows of one month. @throws CliFailure when the server rejects an event */
export async function sendMonth(options: SendMonthOptions): Promise<void> {
  const { api, path, month, soFar, progress, interrupted } = options
  const source = sourceOf(path)
  const lane = createLane(IN_FLIGHT_MAX)
  let sentOnce = 0
  const note = (answer: BatchAnswer, events: number): void => {
    const [first] = answer.rejected
    if (first !== undefined) {
      throw new CliFailure(
        `The server rejected ${answer.rejected.length} events of the trace; the first is row ${first.id ?? '?'}: ${first.code}: ${first.detail}`,
      )
    }
    soFar.sent += events
    soFar.accepted += answer.accepted
    soFar.duplicates += answer.duplicates
  }
  const send = async (events: readonly EventText[]): Promise<void> => {
    soFar.batches++
    const again = soFar.batches % REPEAT_EVERY === 0
    note(await sendBatch(api, events), events.length)
    if (again) {
      soFar.repeatedBatches++
      note(await sendBatch(api, events), events.length)
    }
    sentOnce += events.length
    progress.advance(sentOnce)
  }
  let batch: EventText[] = []
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return
    const events = batch
    batch = []
    await lane.start(() => send(events))
  }
  try {
    for await (const row of readTrace(path)) {
      if (interrupted.aborted) throw new Interrupted()
      if (row.month !== month) continue
      batch.push(toEvent(row, source))
      if (batch.length === BATCH_EVENTS) await flush()
    }
    await flush()
    await lane.drain()
  } finally {
    await lane.settle()
  }
}
