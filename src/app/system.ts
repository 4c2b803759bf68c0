import type { Config, Role } from '../config.ts'
import { openShell, type Shell } from './shell.ts'
import {
  startAggregateRole,
  startControlRole,
  type StartedRole,
  startGateRole,
  startIngestRole,
} from './roles.ts'
import { startFailureOf } from './start-failure.ts'

export interface RunningSystem {
  readonly apiUrl: string
  readonly metricsUrl: string
  /** Null in roles without a control plane. */
  readonly adminKey: string | null
  /** Rejects when the process has become useless: whoever started it should stop and end. */
  readonly failed: Promise<never>
  /** Drains: answers what was taken, writes what was read, stops child processes. */
  stop(): Promise<void>
}

export interface StartOptions {
  readonly onProgress?: (text: string) => void
}

const START: Readonly<Record<Role, (shell: Shell) => Promise<StartedRole>>> = {
  all: (shell) =>
    startControlRole(shell, { ingests: true, aggregates: true, provisions: true, schedules: true }),
  ingest: startIngestRole,
  aggregate: startAggregateRole,
  provision: (shell) =>
    startControlRole(shell, { ingests: false, aggregates: false, provisions: true, schedules: false }),
  api: (shell) =>
    startControlRole(shell, { ingests: false, aggregates: false, provisions: false, schedules: false }),
  invoice: (shell) =>
    startControlRole(shell, { ingests: false, aggregates: false, provisions: false, schedules: true }),
  gate: startGateRole,
}

/** Starts a role, or all of them in this process. @throws StartFailure that says what to do */
export async function startSystem(config: Config, options: StartOptions = {}): Promise<RunningSystem> {
  const shell = await openShell(config, options.onProgress ?? (() => undefined))
  let stopping: Promise<void> | null = null
  const stop = (): Promise<void> => {
    shell.health.startDraining()
    return (stopping ??= shell.closing.run(config.shutdownSeconds * 1000))
  }
  try {
    const started = await START[config.role](shell)
    shell.health.started()
    return { ...started, metricsUrl: shell.health.url, failed: shell.failed, stop }
  } catch (error) {
    await stop().catch((fault: unknown) => shell.onFault('stopping after a failed start', fault))
    throw startFailureOf(error, shell.dataDirectory)
  }
}
