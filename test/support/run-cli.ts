import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { Command } from 'commander'
import type { CliDeps, RunningSystem } from '../../src/cli/deps.ts'
import { buildProgram, runCli } from '../../src/cli/program.ts'
import { describeConfig, loadConfig } from '../../src/config.ts'
import type { FakeApi } from './fake-api.ts'

export interface CliRun {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface CliWorld {
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  readonly interrupt?: AbortController
  readonly deps?: Partial<CliDeps>
  readonly temporaryDirectory?: string
}

/** Runs one command line in this process. Whatever would start an engine is an error unless `deps` gives it. */
export async function runCommand(argv: readonly string[], world: CliWorld = {}): Promise<CliRun> {
  const stdout = collector()
  const stderr = collector()
  const exitCode = await runCli(argv, depsOf(world, stdout.stream, stderr.stream), '0.0.0')
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() }
}

function depsOf(world: CliWorld, stdout: Writable, stderr: Writable): CliDeps {
  const unwired = (): Promise<never> => Promise.reject(new Error('not given to this test'))
  let ids = 0
  return {
    stdin: Readable.from([world.stdin ?? '']),
    stdout,
    stderr,
    fetch: globalThis.fetch,
    now: () => performance.now(),
    newId: () => `id-${++ids}`,
    interrupted: (world.interrupt ?? new AbortController()).signal,
    temporaryDirectory: world.temporaryDirectory ?? tmpdir(),
    loadConfig: (inputs) => loadConfig({ env: world.env ?? {}, ...inputs }),
    describeConfig,
    readAdminKey: () => null,
    startSystem: unwired,
    doctor: unwired,
    migrate: unwired,
    migrationStatus: unwired,
    backupStopped: unwired,
    verifyBackup: unwired,
    restore: unwired,
    runRate: unwired,
    ...world.deps,
  }
}

export interface CommandView {
  /** `events import` */
  readonly path: string
  readonly flags: readonly string[]
}

/** Every command that does something, groups aside. */
export function everyCommand(): readonly CommandView[] {
  const walk = (command: Command, path: string): CommandView[] =>
    command.commands.length === 0
      ? [{ path, flags: command.options.map((option) => option.long ?? '') }]
      : command.commands.flatMap((child) => walk(child, `${path} ${child.name()}`.trim()))
  return walk(buildProgram(depsOf({}, collector().stream, collector().stream), '0.0.0'), '')
}

/** The flags that point a command at the fake. */
export function at(fake: FakeApi): string[] {
  return ['--url', fake.url, '--key', fake.key]
}

/** A system for `demo` and `start` that is only the fake. */
export function fakeSystem(fake: FakeApi, stopped: () => void = () => undefined): CliDeps['startSystem'] {
  return () => {
    const system: RunningSystem = {
      apiUrl: fake.url,
      metricsUrl: 'http://127.0.0.1:9',
      adminKey: fake.key,
      failed: new Promise<never>(() => undefined),
      stop: () => {
        stopped()
        return Promise.resolve()
      },
    }
    return Promise.resolve(system)
  }
}

/** Calls `use` with a directory of its own, which is gone afterwards. */
export async function inTemporaryDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-test-'))
  try {
    return await use(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function collector(): { readonly stream: Writable; readonly text: () => string } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') }
}
