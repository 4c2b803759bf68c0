import { StoreError } from '../aggregate/ports.ts'
import { DatabaseError } from '../database/database-error.ts'
import { LogError } from '../usage/event-log.ts'

/** Tallyman cannot start, for a reason that an operator can mend. The message says what to do; it has no stack worth showing. */
export class StartFailure extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'StartFailure'
  }
}

function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** What to do about a socket that cannot be opened. */
export function listenFailure(
  what: string,
  host: string,
  port: number,
  variable: string,
  error: Error,
): Error {
  switch (errno(error)) {
    case 'EADDRINUSE':
      return new StartFailure(
        `Port ${port} on ${host} is taken, so the ${what} cannot listen there. Stop what uses it, or choose another port with ${variable} (0 takes a free one).`,
        error,
      )
    case 'EACCES':
      return new StartFailure(
        `This user may not listen on port ${port}. Choose one above 1023 with ${variable}.`,
        error,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new StartFailure(`The address ${host} for the ${what} is not one of this machine.`, error)
    default:
      return error
  }
}

/** What went wrong at the start, told as something to mend where that is known; a fault of ours stays what it is. */
export function startFailureOf(error: unknown, directory: string): unknown {
  if (error instanceof LogError || error instanceof StoreError || error instanceof DatabaseError) {
    return new StartFailure(error.message, error)
  }
  return directoryFailure(directory, error)
}

/** What to do about a data directory that cannot be used. */
export function directoryFailure(directory: string, error: unknown): unknown {
  switch (errno(error)) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new StartFailure(
        `The data directory ${directory} cannot be written. Give this user the right to, or choose another with --data or TALLYMAN_DATA_DIR.`,
        error,
      )
    case 'ENOTDIR':
    case 'EEXIST':
      return new StartFailure(
        `The data directory ${directory} is not a directory. Choose another with --data or TALLYMAN_DATA_DIR.`,
        error,
      )
    case 'ENOSPC':
    case 'EDQUOT':
      return new StartFailure(
        `There is no space left for the data directory ${directory}. Free some, or choose another disk with --data.`,
        error,
      )
    default:
      return error
  }
}
