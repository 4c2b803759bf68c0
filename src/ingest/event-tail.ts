import { setTimeout as pause } from 'node:timers/promises'
import type { TenantId } from '../id/ids.ts'
import { formatInstant, instantOf } from '../time/instant.ts'
import type { EventLog, LogRecord } from '../usage/event-log.ts'
import { PackWalker } from '../usage/pack-walker.ts'
import { TOPIC_EVENTS } from '../usage/topics.ts'

interface TailFilter {
  readonly tenant: TenantId
  readonly type?: string | undefined
  readonly subject?: string | undefined
}

export type TailMessage =
  /** An accepted event as JSON text. */
  | { readonly kind: 'event'; readonly json: string }
  /** The log grew faster than it can be followed; so many records were left out. */
  | { readonly kind: 'skipped'; readonly records: number }
  /** The last message: this client read too slowly, or the process ends. */
  | { readonly kind: 'dropped' | 'stopped' }

export interface TailClient {
  /** The next message. After `dropped` and `stopped` there is none. */
  next(): Promise<TailMessage>
  close(): void
}

export interface EventTail {
  /** Follows what is accepted from now on; null where as many follow already as may. */
  open(filter: TailFilter): Promise<TailClient | null>
  stop(): Promise<void>
}

export interface EventTailOptions {
  readonly log: Pick<EventLog, 'endOffsets' | 'read'>
  readonly onFault: (error: unknown) => void
  readonly limits?: Partial<Record<keyof typeof TAIL_LIMITS, number>>
}

const TAIL_LIMITS = {
  clientsMax: 16,
  /** Messages that wait for one client; a slower one is dropped. */
  clientBytesMax: 1_048_576,
  /** Records of a partition behind its end; beyond it the tail goes on at the end. */
  lagRecordsMax: 2000,
  readBytes: 1_048_576,
  pauseMs: 100,
} as const

const FAULT_PAUSE_MS = 1000

/**
 * The log's end, followed for people who watch. One reader for all of them, and none while nobody looks; no group of
 * consumers, for nothing has to be remembered. Whoever cannot keep up loses events here, and only here.
 */
export function createEventTail({ log, onFault, limits: given }: EventTailOptions): EventTail {
  const limits = { ...TAIL_LIMITS, ...given }
  const clients = new Set<Client>()
  const stopping = new AbortController()
  const walker = new PackWalker()
  let offsets: number[] = []
  let reading: Promise<void> | null = null

  async function toEnd(): Promise<void> {
    const ends = await log.endOffsets(TOPIC_EVENTS)
    offsets = []
    for (const { partition, offset } of ends) offsets[partition] = offset
  }

  async function follow(): Promise<void> {
    while (clients.size > 0 && !stopping.signal.aborted) {
      try {
        if (!(await readRound())) await rest(limits.pauseMs)
      } catch (error) {
        onFault(error)
        await rest(FAULT_PAUSE_MS)
        // What cannot be read (removed by retention) is left; the end can be.
        await toEnd().catch(onFault)
      }
    }
  }

  /** False when there was nothing new. */
  async function readRound(): Promise<boolean> {
    let hasRead = false
    for (const { partition, offset: end } of await log.endOffsets(TOPIC_EVENTS)) {
      const from = offsets[partition] ?? end
      const behind = end - from
      if (behind > limits.lagRecordsMax) {
        offsets[partition] = end
        for (const client of clients) client.push({ kind: 'skipped', records: behind })
        continue
      }
      if (behind <= 0) continue
      const records = await log.read(TOPIC_EVENTS, partition, from, limits.readBytes)
      for (const record of records) {
        deliver(partition, record)
        offsets[partition] = record.offset + 1
      }
      hasRead ||= records.length > 0
    }
    return hasRead
  }

  function deliver(partition: number, { offset, value }: LogRecord): void {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
    const text = (start: number, end: number): string => bytes.toString('utf8', start, end)
    walker.open(value)
    while (walker.next()) {
      const tenant = text(walker.tenantStart, walker.tenantEnd)
      const type = text(walker.typeStart, walker.typeEnd)
      const subject = text(walker.subjectStart, walker.subjectEnd)
      let json: string | null = null
      for (const client of clients) {
        if (!client.wants(tenant, type, subject)) continue
        json ??= JSON.stringify({
          source: text(walker.sourceStart, walker.sourceEnd),
          id: text(walker.idStart, walker.idEnd),
          type,
          subject,
          time: formatInstant(instantOf(walker.timeMs)),
          data: propertiesOf(walker, text),
          ingestedAt: formatInstant(instantOf(walker.ingestedAtMs)),
          partition,
          offset,
          index: walker.index,
        })
        client.push({ kind: 'event', json })
      }
    }
  }

  const rest = (ms: number): Promise<void> =>
    // Ends early when the process does.
    pause(ms, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined)

  return {
    async open(filter) {
      if (clients.size >= limits.clientsMax || stopping.signal.aborted) return null
      const client = new Client(filter, limits.clientBytesMax, () => clients.delete(client))
      clients.add(client)
      if (reading === null) {
        const started = toEnd()
        reading = started.then(follow).finally(() => (reading = null))
        reading.catch(() => clients.delete(client)) // told by `started`
        await started
      }
      return client
    },
    async stop() {
      stopping.abort()
      for (const client of [...clients]) client.end('stopped')
      await reading
    },
  }
}

function propertiesOf(walker: PackWalker, text: (start: number, end: number) => string) {
  const properties: [string, string][] = []
  for (let i = 0; i < 4 * walker.propertyCount; i += 4) {
    const [from = 0, to = 0, start = 0, end = 0] = walker.properties.subarray(i, i + 4)
    properties.push([text(from, to), text(start, end)])
  }
  return Object.fromEntries(properties)
}

class Client implements TailClient {
  readonly #filter: TailFilter
  readonly #bytesMax: number
  readonly #onEnd: () => void
  #waiting: TailMessage[] = []
  #bytes = 0
  #isEnded = false
  #wake: (() => void) | null = null

  constructor(filter: TailFilter, bytesMax: number, onEnd: () => void) {
    this.#filter = filter
    this.#bytesMax = bytesMax
    this.#onEnd = onEnd
  }

  wants(tenant: string, type: string, subject: string): boolean {
    const { tenant: own, type: onlyType = type, subject: onlySubject = subject } = this.#filter
    return tenant === own && type === onlyType && subject === onlySubject
  }

  push(message: TailMessage): void {
    if (this.#isEnded) return
    this.#bytes += sizeOf(message)
    if (this.#bytes > this.#bytesMax) {
      this.#waiting = []
      this.end('dropped')
      return
    }
    this.#waiting.push(message)
    this.#wake?.()
  }

  end(kind: 'dropped' | 'stopped'): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#waiting.push({ kind })
    this.#onEnd()
    this.#wake?.()
  }

  close(): void {
    this.#isEnded = true
    this.#waiting = []
    this.#onEnd()
  }

  async next(): Promise<TailMessage> {
    for (;;) {
      const message = this.#waiting.shift()
      if (message !== undefined) {
        this.#bytes -= sizeOf(message)
        return message
      }
      await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#wake = null
    }
  }
}

function sizeOf(message: TailMessage): number {
  return message.kind === 'event' ? message.json.length : 0
}
