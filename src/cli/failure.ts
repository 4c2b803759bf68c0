/** The command did its work and the answer is no, or it could not do it. */
export const EXIT_FAILED = 1
/** The command was called in a way that cannot work: unknown option, missing argument, contradicting flags. */
export const EXIT_WRONG_USE = 2

/** An end that was to be expected. The message is for the person at the terminal and says what to do; no stack is shown. */
export class CliFailure extends Error {
  readonly exitCode: typeof EXIT_FAILED | typeof EXIT_WRONG_USE
  /** Printed below the message, one a line. */
  readonly details: readonly string[]
  constructor(
    message: string,
    options: {
      readonly exitCode?: typeof EXIT_FAILED | typeof EXIT_WRONG_USE
      readonly details?: readonly string[]
      readonly cause?: unknown
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CliFailure'
    this.exitCode = options.exitCode ?? EXIT_FAILED
    this.details = options.details ?? []
  }
}

export function wrongUse(message: string, details: readonly string[] = []): CliFailure {
  return new CliFailure(message, { exitCode: EXIT_WRONG_USE, details })
}

/** Thrown where work stops because of Ctrl-C or SIGTERM. */
export class Interrupted extends CliFailure {
  constructor() {
    super('Interrupted.')
    this.name = 'Interrupted'
  }
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** What to tell about a file that cannot be opened or written. Faults of other kinds come back as they are. */
export function fileFailure(path: string, error: unknown): unknown {
  switch (errorCode(error)) {
    case 'ENOENT':
      return new CliFailure(`There is no file ${path}.`, { cause: error })
    case 'EISDIR':
      return new CliFailure(`${path} is a directory; a file is needed.`, { cause: error })
    case 'ENOTDIR':
      return new CliFailure(`${path}: a part of this path is not a directory.`, { cause: error })
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new CliFailure(`This user may not open ${path}.`, { cause: error })
    case 'ENOSPC':
      return new CliFailure(`There is no space left to write ${path}.`, { cause: error })
    default:
      return error
  }
}
