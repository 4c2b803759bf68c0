/** Where the log writes what an operator should know. Fields never hold a record's bytes. */
export interface LogLogger {
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** For commands and tests that show failures by themselves. */
export const silentLogger: LogLogger = { warn: () => undefined, error: () => undefined }
