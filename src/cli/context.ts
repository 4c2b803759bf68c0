import type { Command } from 'commander'
import type { Config } from '../config.ts'
import { type ApiClient, createApiClient } from './api-client.ts'
import type { CliDeps, RunningSystem } from './deps.ts'
import { CliFailure, Interrupted, wrongUse } from './failure.ts'
import { createOutput, type Output } from './output.ts'
import { type Progress, startProgress } from './progress.ts'

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: true
  readonly config?: string
}

/** Options of commands that talk to a server. */
export interface ServerOptions extends CommonOptions {
  readonly url?: string
  readonly key?: string
  readonly data?: string
}

export function withCommonOptions(command: Command): Command {
  return command
    .option('--json', 'machine output on stdout, everything else on stderr')
    .option('--config <file>', 'configuration file (default: ./tallyman.yaml where it is)')
}

export function withServerOptions(command: Command): Command {
  return withCommonOptions(command)
    .option('--url <url>', 'where the server is (default: TALLYMAN_URL, else http://127.0.0.1:8888)')
    .option('--key <key>', 'API key (default: TALLYMAN_API_KEY, else admin.key in the data directory)')
    .option('--data <dir>', 'data directory in which admin.key is looked for (default: ./data)')
}

/** Loads the configuration; all faults at once. @throws CliFailure */
export function configOf(
  deps: CliDeps,
  options: CommonOptions,
  overrides: Readonly<Record<string, string | number | undefined>> = {},
): { readonly config: Config; readonly sources: Readonly<Record<string, string>> } {
  const given = Object.fromEntries(
    Object.entries(overrides).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
  )
  const outcome = deps.loadConfig({
    overrides: given,
    ...(options.config === undefined ? {} : { configFile: options.config }),
  })
  if (outcome.kind === 'config') return outcome
  const faults = outcome.faults.map(withFlagName)
  // A bad flag is wrong use; a bad file or variable is a state of the machine that has to be mended.
  const flagsOnly = faults.every((fault) => fault.startsWith('--'))
  if (flagsOnly) throw wrongUse('The command line does not fit.', faults)
  throw new CliFailure('The configuration does not fit.', { details: faults })
}

/** Settings whose flag is not named as they are. */
const FLAGS: readonly (readonly [setting: string, flag: string])[] = [
  ['--dataDir', '--data'],
  ['--metricsPort', '--metrics-port'],
  ['--client.url', '--url'],
  ['--client.apiKey', '--key'],
]

function withFlagName(fault: string): string {
  const named = FLAGS.find(([setting]) => fault.startsWith(`${setting} `))
  return named === undefined ? fault : named[1] + fault.slice(named[0].length)
}

export function outputOf(deps: CliDeps, options: CommonOptions): Output {
  return createOutput(deps.stdout, deps.stderr, options.json === true)
}

/** The client for the server that the options, the environment and the configuration name. @throws CliFailure */
export function clientOf(deps: CliDeps, options: ServerOptions): ApiClient {
  const { config } = configOf(deps, options, {
    dataDir: options.data,
    'client.url': options.url,
    'client.apiKey': options.key,
  })
  const key = config.client.apiKey ?? readKey(deps, config.dataDir)
  if (key === null) {
    throw new CliFailure('There is no API key to call the server with.', {
      details: [
        `Give one with --key or TALLYMAN_API_KEY, or name the data directory of the server with --data (there is no admin.key in ${config.dataDir}).`,
      ],
    })
  }
  return apiClientFor(deps, config.client.url, key)
}

function readKey(deps: CliDeps, directory: string): string | null {
  try {
    return deps.readAdminKey(directory)
  } catch (error) {
    throw new CliFailure(
      `The key in ${directory} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      {
        details: ['Run as the user that started the server, or give a key with --key or TALLYMAN_API_KEY.'],
        cause: error,
      },
    )
  }
}

export function apiClientFor(deps: CliDeps, url: string, key: string): ApiClient {
  return createApiClient({
    url,
    key,
    fetch: deps.fetch,
    interrupted: deps.interrupted,
    newId: deps.newId,
    pause: (ms) => pause(ms, deps.interrupted),
  })
}

/** Resolves after the time or when interrupted, whichever is first. */
export function pause(ms: number, interrupted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (interrupted.aborted) {
      resolve()
      return
    }
    const end = (): void => {
      clearTimeout(timer)
      interrupted.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    interrupted.addEventListener('abort', end, { once: true })
  })
}

function untilInterrupted(interrupted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (interrupted.aborted) resolve()
    else interrupted.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Until Ctrl-C, or until the system says that it is of no use any more. @throws CliFailure */
export async function whileRunning(deps: CliDeps, system: Pick<RunningSystem, 'failed'>): Promise<void> {
  await Promise.race([
    untilInterrupted(deps.interrupted),
    system.failed.catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error)
      throw new CliFailure(`The server cannot go on: ${reason}`, { cause: error })
    }),
  ])
}

export function progressOf(
  deps: CliDeps,
  output: Output,
  label: string,
  total: number | null,
  unit: string,
): Progress {
  return startProgress({ stream: deps.stderr, json: output.json, label, total, unit, now: deps.now })
}

export interface WaitOptions<T> {
  readonly deps: CliDeps
  /** For the message when the time is up. */
  readonly what: string
  readonly limitMs: number
  /** Null: not yet. */
  readonly probe: () => Promise<T | null>
  /** What the last probe saw, for the message. */
  readonly seen: () => string
}

const PROBE_INTERVAL_MS = 50

/** Asks again and again until there is an answer, and gives up with a reason after the limit. @throws CliFailure */
export async function waitFor<T>({ deps, what, limitMs, probe, seen }: WaitOptions<T>): Promise<T> {
  const deadline = deps.now() + limitMs
  for (;;) {
    if (deps.interrupted.aborted) throw new Interrupted()
    const answer = await probe()
    if (answer !== null) return answer
    if (deps.now() >= deadline) {
      throw new CliFailure(
        `Waited ${limitMs / 1000} seconds for ${what} in vain; the last answer was ${seen()}.`,
      )
    }
    await pause(PROBE_INTERVAL_MS, deps.interrupted)
  }
}
