import type { Clock } from './clock.ts'
import type { Fault, Rejection } from './fault.ts'
import type { Spool } from './spool-port.ts'

export interface TallymanOptions {
  /** Address of the server, such as `https://tallyman.example`. */
  readonly url: string
  /** A key with the scope `ingest`; a function is asked before every request, so that a key can be replaced. */
  readonly apiKey: string | (() => string)
  /** Names this emitter as a URI reference, such as `/gateway/eu-1`. Event ids are unique within it. */
  readonly source: string

  /** Told once of every event that will not be billed. Without it the first of each code is written to the console. */
  readonly onRejected?: (rejection: Rejection) => void
  /** Told when delivery is held up, once for each kind of fault in a row. Without it it is written to the console. */
  readonly onFault?: (fault: Fault) => void

  /** Most events and bytes that wait for their acknowledgement: 100,000 and 64 MiB. */
  readonly bufferEventsMax?: number
  readonly bufferBytesMax?: number
  /** `record` at a full buffer: 'reject' (the default) or 'dropOldest'. Either way it is counted and told to onRejected. */
  readonly whenFull?: 'reject' | 'dropOldest'
  /** `recordDurably` at a full buffer: 'block' (the default) waits for room. */
  readonly whenFullAwaited?: 'block' | 'reject' | 'dropOldest'

  /** A batch goes out at 500 events, 1 MiB, or when its oldest event has waited 200 ms. */
  readonly batchEventsMax?: number
  readonly batchBytesMax?: number
  readonly lingerMs?: number
  /** Requests under way at once: 4. */
  readonly inFlightMax?: number
  /** A request without an answer is given up after 30 s and sent again. */
  readonly requestTimeoutMs?: number
  /** The first pause after a failure is at most 500 ms, each further one twice that, at most 30 s. */
  readonly retryBaseMs?: number
  readonly retryPauseMsMax?: number
  /** A longer Retry-After is cut to 5 min. */
  readonly retryAfterMsMax?: number
  /** Pause after an answer that only a person can change (401, 403, a wrong address): 60 s. */
  readonly haltedRetryMs?: number

  /** Keeps events on disk until they are acknowledged: `openSpool` of `@tallyman/client/spool`. */
  readonly spool?: Spool

  /** For tests: time, randomness in [0, 1), ids, and the way to the server. */
  readonly clock?: Clock
  readonly random?: () => number
  readonly createId?: () => string
  readonly fetch?: typeof globalThis.fetch
}

/** [preset, least, most] */
const BOUNDS = {
  bufferEventsMax: [100_000, 1, 10_000_000],
  bufferBytesMax: [67_108_864, 131_072, 4_294_967_296],
  batchEventsMax: [500, 1, 10_000],
  batchBytesMax: [1_048_576, 1024, 67_108_864],
  lingerMs: [200, 0, 3_600_000],
  inFlightMax: [4, 1, 64],
  requestTimeoutMs: [30_000, 1, 3_600_000],
  retryBaseMs: [500, 1, 3_600_000],
  retryPauseMsMax: [30_000, 1, 3_600_000],
  retryAfterMsMax: [300_000, 0, 3_600_000],
  haltedRetryMs: [60_000, 1, 3_600_000],
} as const satisfies Readonly<Record<string, readonly [number, number, number]>>
export type Limits = { readonly [K in keyof typeof BOUNDS]: number }

/** @throws RangeError for a limit that is not a whole number within its bounds */
export function readLimits(options: Partial<Limits>): Limits {
  const entries = Object.entries(BOUNDS).map(([name, [preset, least, most]]) => {
    const value = options[name as keyof Limits] ?? preset
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw new RangeError(`"${name}" must be a whole number from ${least} to ${most}, not ${value}.`)
    }
    return [name, value]
  })
  return Object.fromEntries(entries) as Limits
}

/** The address for events. @throws TypeError when `url` is not one of http or https */
export function eventsUrl(url: string): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch (error) {
    throw new TypeError(`"url" must be an address such as "https://tallyman.example", not "${url}".`, {
      cause: error,
    })
  }
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') {
    throw new TypeError(`"url" must begin with https:// or http://, not "${parsed.protocol}".`)
  }
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}/v1/events`
}

const SOURCE_CHARS_MAX = 1024
const SCHEME = /^[a-z][a-z\d+.-]*:/i
const PCHAR = `(?:[\\w.~!$&'()*+,;=:@-]|%[\\da-f]{2})`
const AFTER_SCHEME = new RegExp(
  `^(?://[\\w.-]+(?::\\d+)?(?:/${PCHAR}*)*|(?!//)(?:${PCHAR}|/)*)(?:\\?(?:${PCHAR}|[/?])*)?(?:#(?:${PCHAR}|[/?])*)?$`,
  'i',
)

/**
 * A URI reference by RFC 3986, as the server asks for it. Checked at the start, for with a bad one every event would be
 * rejected. @throws TypeError
 */
export function readSource(source: string): string {
  const scheme = SCHEME.exec(source)?.[0] ?? ''
  // Without a scheme, a colon in the first segment would make one.
  const isReference =
    AFTER_SCHEME.test(source.slice(scheme.length)) && (scheme !== '' || !/^[^/?#]*:/.test(source))
  const isReserved = source.startsWith('urn:tallyman:')
  if (!isReference || isReserved || source === '' || source.length > SOURCE_CHARS_MAX) {
    throw new TypeError(
      `"source" must be a URI reference of 1 to ${SOURCE_CHARS_MAX} characters such as "/checkout", not "${source}".`,
    )
  }
  return source
}
