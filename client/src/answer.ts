/** What came of one request: an answer of whatever kind, or none. */
export type HttpOutcome =
  | {
      readonly kind: 'answered'
      readonly status: number
      readonly retryAfterMs: number | null
      readonly text: string
    }
  | { readonly kind: 'unreachable'; readonly detail: string }

interface RejectedEvent {
  readonly index: number
  readonly code: string
  readonly detail: string
}

/** Where an event stands on the log; for a duplicate, where its first copy stands. */
export interface Receipt {
  readonly id: string
  readonly partition: number
  readonly offset: number
  readonly index: number
}

/** What the answer to a batch means for it. */
export type Verdict =
  /** Every event is durable or rejected for good. */
  | {
      readonly kind: 'settled'
      readonly duplicates: number
      readonly rejected: readonly RejectedEvent[]
      readonly receipts: readonly Receipt[]
    }
  /** The same bytes may succeed later. */
  | {
      readonly kind: 'retry'
      readonly code: RetryCode
      readonly detail: string
      readonly retryAfterMs: number | null
    }
  /** Part of it may succeed: an event alone that gets this is rejected. */
  | { readonly kind: 'split'; readonly code: string; readonly detail: string }
  /** Nothing succeeds until somebody changes a setting. */
  | { readonly kind: 'halt'; readonly code: HaltCode; readonly detail: string }

export type RetryCode = 'unreachable' | 'unavailable' | 'garbledAnswer'
export type HaltCode = 'unauthorized' | 'forbidden' | 'unexpectedAnswer'

/**
 * Judges the answer to a batch of `events` events. An event is given up only when the server itself says so: with a
 * problem that has a `code`. A refusal without one comes from something in between and stops sending instead.
 */
export function judgeAnswer(outcome: HttpOutcome, events: number): Verdict {
  if (outcome.kind === 'unreachable') {
    return { kind: 'retry', code: 'unreachable', detail: outcome.detail, retryAfterMs: null }
  }
  const { status, text, retryAfterMs } = outcome
  const problem = readProblem(text)
  const detail = problem?.detail ?? `The server answered ${status}: ${excerpt(text)}`
  if (status === 202) return readAccepted(text, events) ?? garbled(status, text)
  if (status >= 200 && status < 300) return garbled(status, text)
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return { kind: 'retry', code: 'unavailable', detail, retryAfterMs }
  }
  if (status === 413) return { kind: 'split', code: problem?.code ?? 'bodyTooLarge', detail }
  if ((status === 400 || status === 422) && problem !== null) {
    return { kind: 'split', code: problem.code, detail }
  }
  if (status === 401) return { kind: 'halt', code: 'unauthorized', detail }
  if (status === 403) return { kind: 'halt', code: 'forbidden', detail }
  return { kind: 'halt', code: 'unexpectedAnswer', detail }
}

function garbled(status: number, text: string): Verdict {
  const detail = `The server answered ${status} with what is no receipt of these events: ${excerpt(text)}`
  return { kind: 'retry', code: 'garbledAnswer', detail, retryAfterMs: null }
}

function excerpt(text: string): string {
  return JSON.stringify(text.slice(0, 200))
}

/** An answer counts only if it accounts for each event; otherwise the batch is sent again, which is safe. */
function readAccepted(text: string, events: number): Verdict | null {
  const body = parseObject(text)
  if (body === null) return null
  const { accepted, duplicates } = body
  const rejected = Array.isArray(body['rejected']) ? body['rejected'].map(readRejected) : null
  if (!isCount(accepted) || !isCount(duplicates) || rejected === null) return null
  if (accepted + duplicates + rejected.length !== events) return null
  const known = rejected.filter((one): one is RejectedEvent => one !== null && one.index < events)
  if (new Set(known.map(({ index }) => index)).size !== rejected.length) return null
  const receipts = Array.isArray(body['receipts']) ? body['receipts'].filter(isReceipt) : []
  return { kind: 'settled', duplicates, rejected: known, receipts }
}

function readRejected(value: unknown): RejectedEvent | null {
  const { index, code, detail } = asObject(value) ?? {}
  if (!isCount(index) || typeof code !== 'string') return null
  return { index, code, detail: typeof detail === 'string' ? detail : code }
}

function isReceipt(value: unknown): value is Receipt {
  const { id, partition, offset, index } = asObject(value) ?? {}
  return typeof id === 'string' && isCount(partition) && isCount(offset) && isCount(index)
}

function readProblem(text: string): { readonly code: string; readonly detail: string } | null {
  const { code, detail, title } = parseObject(text) ?? {}
  if (typeof code !== 'string') return null
  const told = typeof detail === 'string' ? detail : typeof title === 'string' ? title : code
  return { code, detail: told }
}

interface Members {
  readonly [name: string]: unknown
  readonly accepted?: unknown
  readonly duplicates?: unknown
  readonly index?: unknown
  readonly code?: unknown
  readonly detail?: unknown
  readonly title?: unknown
  readonly id?: unknown
  readonly partition?: unknown
  readonly offset?: unknown
}

function parseObject(text: string): Members | null {
  try {
    return asObject(JSON.parse(text))
  } catch (error) {
    if (error instanceof SyntaxError) return null // what is not JSON holds nothing that we look for
    throw error
  }
}

function asObject(value: unknown): Members | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : null
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
