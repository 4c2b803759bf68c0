import { setTimeout as pause } from 'node:timers/promises'

export interface LoadOptions {
  /** Tells one load's events from another's: their source, and a part of their type. */
  readonly name: string
  /** Where to send now: it changes when a server comes back elsewhere. */
  readonly target: () => { readonly apiUrl: string; readonly adminKey: string }
  readonly eventsPerSecond: number
  readonly eventsPerRequest?: number
  readonly senders?: number
  /** Longest wait for an answer; what did not come until then is unknown. */
  readonly answerMsMax?: number
}

/** Numbered events at a steady rate, from senders that do what a client owes: the same id until it is acknowledged. */
export interface Load {
  readonly name: string
  /** Numbers below this one were sent at least once. */
  begun(): number
  /** Numbers whose request was answered 202. */
  readonly acknowledged: ReadonlySet<number>
  /** Answers by status, `broken` for none. */
  readonly answers: ReadonlyMap<string, number>
  /** The longest that a request waited for its answer. */
  slowestMs(): number
  /** Answers that no fault explains. */
  readonly faults: readonly string[]
  /** No new events. What was not acknowledged stays so. */
  stop(): Promise<void>
}

const SUBJECTS = 50
/** Of a hundred requests, as many are sent again although they were acknowledged: the answer was lost on the way. */
const REPEATED_PERCENT = 5
/** Of a hundred failures, as many make the sender give up: nobody knows what became of those events. */
const GIVEN_UP_PERCENT = 5
const RETRY_PAUSE_MS = 100

/** The event type of a load. */
export function loadType(name: string): string {
  return `load.${name}`
}

/** What an event's number says it carries, so that a sum tells which events are in it. */
export function unitsOf(number: number): number {
  return 1 + (number % 7)
}

export function startLoad(options: LoadOptions): Load {
  const { name, target, eventsPerSecond, eventsPerRequest = 100, senders = 4, answerMsMax = 10_000 } = options
  const acknowledged = new Set<number>()
  const answers = new Map<string, number>()
  const faults: string[] = []
  const startedAt = Date.now()
  const stopping = new AbortController()
  let next = 0
  let requests = 0
  let failures = 0
  let slowestMs = 0

  const eventOf = (n: number): object => ({
    specversion: '1.0',
    id: String(n),
    source: name,
    type: loadType(name),
    subject: `subject-${n % SUBJECTS}`,
    // Ten minutes of event time: several minutes are dirty at any moment.
    time: new Date(startedAt - (n % 600) * 1000).toISOString(),
    data: { units: unitsOf(n) },
  })

  /** True when the answer says that every event of the request is durable. */
  const post = async (body: string): Promise<boolean> => {
    const { apiUrl, adminKey } = target()
    let status = 'broken'
    const sentMs = performance.now()
    try {
      const response = await fetch(`${apiUrl}/v1/events`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${adminKey}`,
          'content-type': 'application/cloudevents-batch+json',
        },
        body,
        signal: AbortSignal.timeout(answerMsMax),
      })
      const text = await response.text()
      status = String(response.status)
      if (response.status === 202) {
        const { rejected } = JSON.parse(text) as { readonly rejected?: readonly unknown[] }
        if ((rejected ?? []).length > 0) faults.push(text)
        else return true
      } else if (response.status !== 503) faults.push(`${status} ${text}`)
      return false
    } catch {
      // The connection broke: nothing is known of this request, as for a real client.
      return false
    } finally {
      slowestMs = Math.max(slowestMs, performance.now() - sentMs)
      answers.set(status, (answers.get(status) ?? 0) + 1)
    }
  }

  const rest = (ms: number): Promise<void> =>
    pause(ms, undefined, { signal: stopping.signal }).catch(() => undefined)

  const sendBatch = async (): Promise<void> => {
    const numbers = Array.from({ length: eventsPerRequest }, () => next++)
    const body = JSON.stringify(numbers.map(eventOf))
    while (!(await post(body))) {
      if (stopping.signal.aborted || ++failures % 100 < GIVEN_UP_PERCENT) return
      await rest(RETRY_PAUSE_MS)
    }
    for (const n of numbers) acknowledged.add(n)
    if (++requests % 100 < REPEATED_PERCENT) await post(body)
  }

  const intervalMs = (eventsPerRequest * senders * 1000) / eventsPerSecond
  const sender = async (): Promise<void> => {
    let dueMs = performance.now()
    while (!stopping.signal.aborted) {
      await sendBatch()
      // Who fell behind while the server was away does not catch up with a burst.
      dueMs = Math.max(dueMs + intervalMs, performance.now())
      const leftMs = dueMs - performance.now()
      if (leftMs > 0) await rest(leftMs)
    }
  }
  const running = Array.from({ length: senders }, sender)
  return {
    name,
    begun: () => next,
    acknowledged,
    answers,
    slowestMs: () => slowestMs,
    faults,
    async stop() {
      stopping.abort()
      await Promise.all(running)
    },
  }
}
