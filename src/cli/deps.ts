import type { Readable, Writable } from 'node:stream'
import type { Config, ConfigInputs, ConfigOutcome } from '../config.ts'

export interface RunningSystem {
  readonly apiUrl: string
  readonly metricsUrl: string
  /** Null in roles without a control plane. */
  readonly adminKey: string | null
  /** Rejects when the process has become useless: whoever started it stops it and ends. */
  readonly failed: Promise<never>
  stop(): Promise<void>
}

interface DoctorCheck {
  readonly name: string
  readonly status: 'ok' | 'warning' | 'failed'
  readonly detail: string
}

export interface Migration {
  /** `postgres` or `clickhouse`. */
  readonly store: string
  readonly name: string
  /** RFC 3339; null while it is pending. */
  readonly appliedAt: string | null
}

/** What was copied into a backup or out of it. */
export interface BackupSummary {
  /** RFC 3339. */
  readonly startedAt: string
  readonly finishedAt: string
  readonly files: number
  readonly bytes: string
}

interface BackupProgress {
  readonly signal: AbortSignal
  readonly onStep: (text: string) => void
}

/** What the commands need of the world. `main.ts` fills it in; tests give their own. */
export interface CliDeps {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable & { readonly isTTY?: boolean }
  readonly fetch: typeof fetch
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly newId: () => string
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly interrupted: AbortSignal
  /** Where temporary directories are made. */
  readonly temporaryDirectory: string
  readonly loadConfig: (inputs: ConfigInputs) => ConfigOutcome
  readonly describeConfig: (
    config: Config,
    sources: Readonly<Record<string, string>>,
  ) => readonly {
    readonly key: string
    readonly value: string
    readonly source: string
    readonly help: string
  }[]
  readonly readAdminKey: (dataDirectory: string) => string | null
  readonly startSystem: (
    config: Config,
    options: { readonly onProgress?: (text: string) => void },
  ) => Promise<RunningSystem>
  readonly doctor: (config: Config) => Promise<readonly DoctorCheck[]>
  readonly migrate: (config: Config) => Promise<readonly Migration[]>
  readonly migrationStatus: (config: Config) => Promise<readonly Migration[]>
  /** Backs up a data directory that no process has; null when one has it, whose server must do it then. */
  readonly backupStopped: (
    config: Config,
    directory: string,
    progress: BackupProgress,
  ) => Promise<BackupSummary | null>
  /** Reads every file of a backup and compares it with the manifest. */
  readonly verifyBackup: (directory: string, progress: BackupProgress) => Promise<BackupSummary>
  readonly restore: (
    backup: string,
    dataDirectory: string,
    progress: BackupProgress,
  ) => Promise<BackupSummary>
  /** Rates NDJSON requests; resolves to the exit code. */
  readonly runRate: (streams: {
    readonly input: Readable
    readonly output: Writable
    readonly errorOutput: Writable
  }) => Promise<number>
}
