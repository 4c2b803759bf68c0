export type DatabaseErrorCode =
  /** Another living process uses the data directory. */
  | 'inUse'
  /** The embedded server could not be installed, initialized or started. */
  | 'cannotStart'
  /** No server answers at the address. */
  | 'unreachable'
  /** The embedded server ended although nobody stopped it. */
  | 'lost'
  /** The schema is not one that this program can use. */
  | 'migration'
  /** The server is older than what the schema needs. */
  | 'unsupportedServer'
  /** A backup that does not fit the schema. */
  | 'restore'

/** A fault of the database. The message says what to do about it, in words for an operator. */
export class DatabaseError extends Error {
  readonly code: DatabaseErrorCode
  constructor(code: DatabaseErrorCode, detail: string, cause?: unknown) {
    super(detail, cause === undefined ? undefined : { cause })
    this.name = 'DatabaseError'
    this.code = code
  }
}

/** The `code` of a system error (`ENOENT`) or of a PostgreSQL error (`23505`); undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
