import { pino } from 'pino'

/** What the stages write to. Messages are for an operator; fields are for a search. Never keys, never event data. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** JSON lines on standard error, so that standard output stays a command's own. */
export function createLogger(level: string, bindings: Readonly<Record<string, string>> = {}): Logger {
  return pino(
    {
      level,
      base: { ...bindings },
      redact: {
        paths: ['key', 'authorization', '*.key', '*.authorization', '*.password'],
        censor: '(hidden)',
      },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
