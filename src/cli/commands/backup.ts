import { cpSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { type ApiClient, readShape } from '../api-client.ts'
import {
  clientOf,
  type CommonOptions,
  configOf,
  outputOf,
  pause,
  type ServerOptions,
  withCommonOptions,
  withServerOptions,
} from '../context.ts'
import type { BackupSummary, CliDeps } from '../deps.ts'
import { CliFailure, errorCode, Interrupted, wrongUse } from '../failure.ts'
import { grouped, type Output } from '../output.ts'

const BACKUPS_PATH = '/v1/backups'
const ASK_AGAIN_MS = 250

const jobShape = z.object({
  id: z.string(),
  directory: z.string(),
  state: z.enum(['running', 'done', 'failed']),
  step: z.string().optional(),
  failure: z.string().optional(),
})

/** `backup DIR`: of a data directory that no process has, or by the server that has it. */
export function addBackupCommand(program: Command, deps: CliDeps): void {
  withServerOptions(
    program
      .command('backup <dir>')
      .description('copy everything into a new directory; a running server does it while it goes on'),
  ).action(async (dir: string, options: ServerOptions) => {
    const output = outputOf(deps, options)
    const target = resolve(dir)
    if (existsSync(target)) throw wrongUse(`${target} is there already; name a directory that is not.`)
    const { config } = configOf(deps, options, { dataDir: options.data })
    // An address that was given names a server; else the data directory says whether a process has it.
    const stopped =
      options.url === undefined ? await deps.backupStopped(config, target, progressOf(deps, output)) : null
    const summary = stopped ?? (await backupOfServer(deps, clientOf(deps, options), output, target))
    output.result({ directory: target, ...summary }, () => `${target}: ${textOf(summary)}`)
  })
}

/** `restore DIR --data DIR2`: a new data directory, to be started. */
export function addRestoreCommand(program: Command, deps: CliDeps): void {
  withCommonOptions(
    program
      .command('restore <dir>')
      .description('make a new data directory from a backup; the log is read again from it at the next start')
      .requiredOption('--data <dir>', 'the data directory to make; not there yet, or empty'),
  ).action(async (dir: string, options: CommonOptions & { readonly data: string }) => {
    const output = outputOf(deps, options)
    const summary = await deps.restore(resolve(dir), resolve(options.data), progressOf(deps, output))
    output.result(
      { dataDirectory: resolve(options.data), ...summary },
      () =>
        `${resolve(options.data)}: restored, ${textOf(summary)}\nStart it with: tallyman start --data ${options.data}\nIts administrator's key is made anew at the first start; all other keys are as they were.`,
    )
  })
}

function progressOf(deps: CliDeps, output: Output) {
  return {
    signal: deps.interrupted,
    onStep: (step: string): void =>
      void deps.stderr.write(output.json ? `${JSON.stringify({ step })}\n` : `${step}\n`),
  }
}

async function backupOfServer(
  deps: CliDeps,
  client: ApiClient,
  output: Output,
  target: string,
): Promise<BackupSummary> {
  const progress = progressOf(deps, output)
  let job = readShape(jobShape, await client.json('POST', BACKUPS_PATH), BACKUPS_PATH)
  const path = `${BACKUPS_PATH}/${job.id}`
  let told: string | undefined
  while (job.state === 'running') {
    if (job.step !== told && job.step !== undefined) progress.onStep(job.step)
    told = job.step
    await pause(ASK_AGAIN_MS, deps.interrupted)
    if (deps.interrupted.aborted) throw new Interrupted()
    job = readShape(jobShape, await client.json('GET', path), path)
  }
  if (job.state === 'failed') throw new CliFailure(`The backup failed: ${job.failure ?? 'no reason given'}`)
  if (!existsSync(job.directory)) {
    throw new CliFailure(
      `The backup is done and lies on the server's machine in ${job.directory}; from here it cannot be moved to ${target}.`,
    )
  }
  move(job.directory, target)
  return deps.verifyBackup(target, progress)
}

/** Within a disk it is one rename; onto another disk a copy, which is verified afterwards. */
function move(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if (errorCode(error) !== 'EXDEV') throw error
    const draft = `${to}.partial`
    rmSync(draft, { recursive: true, force: true })
    cpSync(from, draft, { recursive: true, errorOnExist: true })
    renameSync(draft, to)
    if (readdirSync(to).length > 0) rmSync(from, { recursive: true })
  }
}

function textOf({ files, bytes, startedAt }: BackupSummary): string {
  return `backup of ${startedAt}, ${grouped(files)} files, ${grouped(bytes)} bytes`
}
