import type { Command } from 'commander'
import { z } from 'zod'
import { type ApiClient, readShape } from '../api-client.ts'
import { clientOf, outputOf, pause, progressOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, Interrupted, wrongUse } from '../failure.ts'
import { collect } from '../flags.ts'
import { grouped, type Output } from '../output.ts'

const jobShape = z.object({
  id: z.string(),
  kind: z.enum(['rollups', 'rows']),
  state: z.enum(['running', 'done', 'failed']),
  done: z.number(),
  total: z.number().nullable(),
  failure: z.string().optional(),
})
type Job = z.infer<typeof jobShape>

const ASK_AGAIN_MS = 200
const PARTITIONS = 8

/** `usage rebuild`: every rollup again, from the events. */
export function addUsageRebuildCommand(group: Command, deps: CliDeps): void {
  withServerOptions(
    group.command('rebuild').description('compute all rollups again from the events; exact answers go on'),
  ).action(async (options: ServerOptions) => {
    const output = outputOf(deps, options)
    const job = await run(deps, clientOf(deps, options), output, '/v1/rollups/rebuild', undefined, 'minutes')
    output.result(job, () => `Rollups of ${grouped(job.done)} minutes were computed again.`)
  })
}

/** `replay --from`: rows again, from the log. */
export function addReplayCommand(program: Command, deps: CliDeps): void {
  withServerOptions(
    program
      .command('replay')
      .description(
        'write the rows of records again, from the log, up to the journal; mends rows that were lost',
      )
      .requiredOption(
        '--from <partition:offset>',
        'where to begin, or an offset for all partitions; may be given again',
        collect,
        [],
      ),
  ).action(async (options: ServerOptions & { readonly from: readonly string[] }) => {
    const output = outputOf(deps, options)
    const from = readFrom(options.from)
    const job = await run(deps, clientOf(deps, options), output, '/v1/replays', { from }, 'records')
    output.result(job, () => `${grouped(job.done)} records were written again, rollups compared.`)
  })
}

function readFrom(texts: readonly string[]): readonly { partition: number; offset: number }[] {
  const found = new Map<number, number>()
  for (const text of texts) {
    const match = /^(?:(\d{1,3}):)?(\d{1,15})$/.exec(text)
    if (match === null) throw wrongUse(`--from must look like partition:offset or offset; it is "${text}".`)
    const named =
      match[1] === undefined ? Array.from({ length: PARTITIONS }, (_, p) => p) : [Number(match[1])]
    for (const partition of named) found.set(partition, Number(match[2]))
  }
  if (found.size === 0) throw wrongUse('--from is missing: where to begin.')
  return [...found].map(([partition, offset]) => ({ partition, offset }))
}

async function run(
  deps: CliDeps,
  api: ApiClient,
  output: Output,
  path: string,
  body: unknown,
  unit: string,
): Promise<Job> {
  let job = readShape(jobShape, await api.json('POST', path, body), path)
  const where = `/v1/rebuilds/${job.id}`
  let progress: ReturnType<typeof progressOf> | null = null
  try {
    while (job.state === 'running') {
      await pause(ASK_AGAIN_MS, deps.interrupted)
      if (deps.interrupted.aborted) throw new Interrupted()
      job = readShape(jobShape, await api.json('GET', where), where)
      if (job.total !== null) progress ??= progressOf(deps, output, 'rebuild', job.total, unit)
      progress?.advance(job.done)
    }
  } finally {
    progress?.stop()
  }
  if (job.state === 'failed') throw new CliFailure(`The rebuild failed: ${job.failure ?? 'no reason given'}`)
  return job
}
