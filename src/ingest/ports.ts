import type { SubjectId, TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import type { RefusalCode, SchemaFault, UnavailableCode } from './answer.ts'
import type { RejectionCode } from './rejection.ts'

/** What the stage asks of the control plane's state; `directory.ts` keeps it in memory. */
export interface IngestDirectory {
  /** Whether any customer of the tenant lives by a test clock: if not, one reading of the clock serves a request. */
  hasTestClocks(tenant: TenantId): boolean
  /** "Now" for the customer who pays for the subject: their test clock, else the clock. */
  nowFor(tenant: TenantId, subject: SubjectId): Instant
  /** Whether a customer claims the subject. */
  knows(tenant: TenantId, subject: SubjectId): boolean
  /** Whether a meter of the tenant counts events of the type. */
  isMetered(tenant: TenantId, type: string): boolean
}

/** What `data` of an event type must look like, where a tenant has said so. */
export interface EventSchemas {
  of(tenant: TenantId, type: string): EventSchema | null
}

export interface EventSchema {
  /** What is wrong with the value of `data`, as JSON.parse gives it; empty when it is good. */
  faultsOf(data: unknown): readonly SchemaFault[]
}

export interface IngestMetrics {
  /** Called once a request; zeros included. */
  requestJudged(counts: {
    readonly accepted: number
    readonly duplicates: number
    readonly rejected: number
    /** Accepted and kept, though no meter counts their type. */
    readonly unknownMeter: number
    /** Accepted and kept, though no customer claims their subject. */
    readonly unknownSubject: number
    /** Duplicates whose content differs from the first copy's; the first copy counts. */
    readonly conflicts: number
  }): void
  eventRejected(code: RejectionCode): void
  requestRefused(code: RefusalCode | UnavailableCode): void
  /** One append of one group: how long it took, how much it carried, how many records failed. */
  appended(append: {
    readonly seconds: number
    readonly records: number
    readonly bytes: number
    readonly failedRecords: number
  }): void
  /** Bytes taken in and not yet durable; asked at each scrape. */
  observeQueue(bytesPending: () => number): void
  /** Identities that the duplicate window knows; asked at each scrape. */
  observeDuplicateWindow(entries: () => number): void
}

export interface IngestConfig {
  /** Largest body of one request, unpacked. */
  readonly requestBytesMax: number
  readonly requestEventsMax: number
  /** Bytes taken in and not yet durable; beyond it requests are answered 503 before they are read. */
  readonly queueBytesMax: number
  /** Longest time that a request waits for the log; 5 s where absent. */
  readonly answerMsMax?: number
  /** Bytes of packs that the duplicate window remembers, in two generations; 64 MiB where absent. */
  readonly duplicateWindowBytesMax?: number
}
