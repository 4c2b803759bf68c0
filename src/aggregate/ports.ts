import type { Cut } from '../usage/coordinate.ts'

/** Values bound to `{name:Type}` placeholders. Text of any content is safe; nothing is spliced into SQL. */
export type SqlParams = Readonly<
  Record<string, string | number | readonly string[] | readonly number[] | Readonly<Record<string, string>>>
>

/**
 * Statements of one lane run one after the other, lanes run side by side: the worker's inserts never wait for a
 * recompute, and a recompute never for a dashboard.
 */
export type Lane = 'write' | 'read' | 'background'

/** Rows of one insert, all in one partition of the table, so that they become one part: all or nothing. */
export interface BinaryRows {
  readonly table: string
  /** Column → ClickHouse type, in the order of the bytes. */
  readonly columns: readonly (readonly [name: string, type: string])[]
  /** RowBinary, in pieces that need not end at rows. */
  readonly chunks: readonly Uint8Array[]
  readonly rows: number
}

/** ClickHouse, by URL or in this process. SQL texts are constants of this code base. */
export interface UsageStore {
  readonly kind: 'server' | 'embedded'
  /** 64-bit integers and decimals arrive as text. @throws StoreError */
  query<Row>(sql: string, params?: SqlParams, lane?: Lane): Promise<readonly Row[]>
  /** A statement without an answer. @throws StoreError */
  command(sql: string, params?: SqlParams, lane?: Lane): Promise<void>
  /** Resolves when exactly `rows` rows are durable. @throws StoreError; some or all rows may be there then */
  insert(rows: BinaryRows): Promise<void>
  close(): Promise<void>
}

export type StoreErrorCode =
  | 'notInstalled'
  | 'locked'
  | 'unavailable'
  | 'migrationChanged'
  | 'newerSchema'
  | 'rowsLost'
  | 'statementFailed'
  | 'closed'

/** A fault of the usage store, in words for an operator. */
export class StoreError extends Error {
  readonly code: StoreErrorCode
  readonly retryable: boolean
  constructor(
    code: StoreErrorCode,
    detail: string,
    options: { readonly retryable: boolean; readonly cause?: unknown },
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'StoreError'
    this.code = code
    this.retryable = options.retryable
  }
}

export interface StageLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** How far events are countable. */
export interface JournalView {
  /** The journal's end of every partition. */
  ends(): Cut
  /** Seconds by which the newest countable event lags behind what the log has. */
  freshnessSeconds(): number
}

export interface AggregateMetrics {
  flushed(flush: { readonly rows: number; readonly bytes: number; readonly seconds: number }): void
  insertFailed(): void
  /** Accepted by ingest → countable, for the oldest event of a flush. */
  freshness(seconds: number): void
  /** When the newest countable event was accepted, seconds since the epoch. */
  watermark(acceptedAtSeconds: number): void
  buffered(rows: number): void
  minutesRecomputed(minutes: number, seconds: number): void
  dirtyMinutes(count: number): void
  conflictsFound(count: number): void
  partitionHalted(partition: number): void
  queried(kind: string, seconds: number): void
  /** Difference of a conservation check in records; 0 when it holds. */
  drift(stage: string, records: number): void
}
