import { hash } from 'node:crypto'
import type { TenantId } from '../id/ids.ts'
import type { Page, PageRequest } from '../id/page.ts'
import type { Instant } from '../time/instant.ts'
import type { SchemaFault } from './answer.ts'
import { END, isText, type JsonTape, nextValue, OBJECT, STRIDE } from './json-tape.ts'
import type { RejectionCode } from './rejection.ts'

/** An event that was rejected, kept so that somebody can see why and send it again when the cause is mended. */
export interface DeadLetter {
  readonly tenant: TenantId
  /** Of tenant and content: an event that a client sends again and again is one letter. */
  readonly id: string
  readonly reason: RejectionReason
  readonly named: EventNames
  /** The event's JSON as it was sent, API keys masked. */
  readonly body: Uint8Array
  /** The body was too long to keep; only its beginning is there, and it cannot be sent again. */
  readonly isCut: boolean
  /** How often it was rejected. */
  readonly times: number
  /** By the customer's clock: the event's time where it has none of its own. */
  readonly arrivedAt: Instant
  readonly lastAt: Instant
}

export interface RejectionReason {
  readonly code: RejectionCode
  readonly detail: string
  readonly errors: readonly SchemaFault[]
}

/** What the event calls itself, as far as that can be read. */
export interface EventNames {
  readonly id: string | null
  readonly source: string | null
  readonly type: string | null
  readonly subject: string | null
}

/** How an event ended that was sent again. */
export type RetriedOutcome = 'accepted' | 'duplicate'

export interface KeptDeadLetter extends DeadLetter {
  readonly firstAt: Instant
  /** Null while it waits. */
  readonly retried: { readonly outcome: RetriedOutcome; readonly at: Instant } | null
}

export interface DeadLetterFilter {
  readonly code?: string | undefined
  readonly type?: string | undefined
  /** Rejected at this time or later. */
  readonly since?: Instant | undefined
  readonly state?: 'waiting' | 'retried' | undefined
}

export type Claim =
  | { readonly kind: 'claimed'; readonly letter: KeptDeadLetter }
  | { readonly kind: 'unknown' | 'retried' | 'running' }

export interface DeadLetterStore {
  /** Writes letters; one that is there already counts up and waits again, with the newer reason. No id stands twice. */
  keep(letters: readonly DeadLetter[]): Promise<void>
  /** Newest first, without bodies. */
  list(tenant: TenantId, filter: DeadLetterFilter, page: PageRequest): Promise<Page<KeptDeadLetter>>
  get(tenant: TenantId, id: string): Promise<KeptDeadLetter | null>
  /** Of those who want to send a letter again one gets it, until the lease ends. */
  claim(tenant: TenantId, id: string, now: Instant, leaseMs: number): Promise<Claim>
  /** Ends a claim. */
  settle(tenant: TenantId, id: string, outcome: RetriedOutcome, now: Instant): Promise<void>
  release(tenant: TenantId, id: string, reason: RejectionReason | null): Promise<void>
  /** Removes what is too old, then the oldest of tenants that have too much. */
  prune(
    before: Instant,
    tenantBytesMax: number,
  ): Promise<{ readonly expired: number; readonly evicted: number }>
}

export const DEAD_LETTER_LIMITS = {
  /** Longer bodies are cut. */
  bodyBytesMax: 262_144,
  cutBodyBytes: 4096,
  /** Letters and bytes that wait to be written; beyond it rejected events are counted and forgotten. */
  bufferLettersMax: 10_000,
  bufferBytesMax: 8_388_608,
  /** One write at a time, so large at most, and a pause behind it: a flood must not take the database. */
  batchLettersMax: 500,
  batchBytesMax: 1_048_576,
  pauseMs: 250,
} as const

const NAME_CHARS_MAX = 1024
const API_KEY = /tm_(live|test)_[0-9A-Za-z]{38}/g
const UNSTORABLE = /\0/g

/** API keys have no business in an event; where one is, it is not kept. */
export function maskKeys(text: string): string {
  return text.replace(API_KEY, (_, environment: string) => `tm_${environment}_${'*'.repeat(38)}`)
}

export function deadLetterId(tenant: TenantId, body: Uint8Array): string {
  return `dl_${hash('sha256', Buffer.concat([Buffer.from(`${tenant}\0`), body]), 'hex').slice(0, 32)}`
}

/** The bytes of the value at `at`, as they came. They hold until the tape is read again. */
export function rawValue(tape: JsonTape, at: number): Uint8Array {
  const { words, bytes } = tape
  const behind = nextValue(words, at)
  const end = behind === at + STRIDE ? (words[at + 2] as number) : (words[behind - STRIDE + 1] as number)
  const start = words[at + 1] as number
  // Texts stand on the tape without their quotes.
  return isText(words[at]) ? bytes.subarray(start - 1, end + 1) : bytes.subarray(start, end)
}

/** What the event at `at` calls itself; the last of several members of one name. */
export function namesOf(tape: JsonTape, at: number): EventNames {
  const names = { id: null, source: null, type: null, subject: null } as {
    -readonly [Name in keyof EventNames]: EventNames[Name]
  }
  const { words } = tape
  if (words[at] !== OBJECT) return names
  for (let keyAt = at + STRIDE; words[keyAt] !== END; keyAt = nextValue(words, keyAt + STRIDE)) {
    const key = tape.text(keyAt)
    if (!Object.hasOwn(names, key) || !isText(words[keyAt + STRIDE])) continue
    const text = tape.text(keyAt + STRIDE).slice(0, NAME_CHARS_MAX)
    names[key as keyof EventNames] = maskKeys(text.toWellFormed().replace(UNSTORABLE, '\ufffd'))
  }
  return names
}
