import type { Command } from 'commander'
import { z } from 'zod'
import { ApiProblem, readShape } from '../api-client.ts'
import { clientOf, outputOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, Interrupted, wrongUse } from '../failure.ts'
import { printable, renderTable } from '../output.ts'
import { renderOne } from './resource.ts'

const PATH = '/v1/dead-letters'

const letterShape = z.looseObject({
  id: z.string(),
  code: z.string(),
  detail: z.string(),
  event: z.looseObject({ id: z.string().nullish(), type: z.string().nullish() }),
  times: z.number(),
  lastAt: z.string(),
})

interface FilterFlags extends ServerOptions {
  readonly code?: string
  readonly type?: string
  readonly since?: string
  readonly state?: string
}

/** `dlq list|show|retry`: events that were rejected. */
export function addDlqCommand(program: Command, deps: CliDeps): void {
  const group = program
    .command('dlq')
    .description('events that were rejected, why, and again when it is mended')
  withServerOptions(
    withFilters(group.command('list').description('rejected events, newest first')).option(
      '--state <state>',
      'waiting or retried',
    ),
  ).action(async (options: FilterFlags) => {
    const data = await listed(deps, options)
    outputOf(deps, options).result({ data }, () => renderLetters(data))
  })
  withServerOptions(group.command('show <id>').description('one rejected event as it was sent')).action(
    async (id: string, options: ServerOptions) => {
      const letter = await clientOf(deps, options).json('GET', pathOf(id))
      outputOf(deps, options).result(letter, () => renderOne(letter))
    },
  )
  withServerOptions(
    withFilters(
      group.command('retry [id...]').description('send rejected events again, each once; by id or by filter'),
    ),
  ).action((ids: string[], options: FilterFlags) => retry(deps, ids, options))
}

function withFilters(command: Command): Command {
  return command
    .option('--code <code>', 'only rejected with this code, such as schemaMismatch')
    .option('--type <type>', 'only of this event type')
    .option('--since <instant>', 'only rejected since then')
}

const pathOf = (id: string): string => `${PATH}/${encodeURIComponent(id)}`

async function listed(deps: CliDeps, options: FilterFlags) {
  const { code, type, since, state } = options
  const items = await clientOf(deps, options).list(PATH, { code, type, since, state })
  return readShape(z.array(letterShape), items, PATH)
}

function renderLetters(letters: readonly z.infer<typeof letterShape>[]): string {
  if (letters.length === 0) return 'No rejected events.'
  return renderTable(
    [
      { header: 'Id' },
      { header: 'Code' },
      { header: 'Event' },
      { header: 'Type' },
      { header: 'Times', align: 'right' },
      { header: 'Last' },
    ],
    letters.map(({ id, code, event, times, lastAt }) => [
      ...[id, code, printable(event.id ?? ''), printable(event.type ?? ''), String(times), lastAt],
    ]),
  )
}

async function retry(deps: CliDeps, ids: readonly string[], options: FilterFlags): Promise<void> {
  const { code, type, since } = options
  const hasFilter = code !== undefined || type !== undefined || since !== undefined
  if (ids.length > 0 === hasFilter) {
    throw wrongUse('Name events by id, or all that a filter finds with --code, --type or --since; not both.')
  }
  const chosen = hasFilter ? (await listed(deps, { ...options, state: 'waiting' })).map(({ id }) => id) : ids
  const api = clientOf(deps, options)
  const taken: { readonly id: string; readonly outcome: unknown }[] = []
  const failed: { readonly id: string; readonly code: string; readonly detail: string }[] = []
  for (const id of chosen) {
    if (deps.interrupted.aborted) throw new Interrupted()
    try {
      const answer = await api.json('POST', `${pathOf(id)}/retry`, undefined, { repeatable: true })
      taken.push({ id, outcome: (answer as { readonly outcome?: unknown }).outcome })
    } catch (error) {
      // One event that is still not good keeps none of the others.
      if (!(error instanceof ApiProblem) || error.status >= 500 || error.status === 401) throw error
      failed.push({ id, code: error.code, detail: error.message })
    }
  }
  outputOf(deps, options).result({ taken, failed }, () =>
    [
      `${taken.length} events are on the log, ${failed.length} are not.`,
      ...failed.map((one) => printable(`  ${one.id}: ${one.detail}`)),
    ].join('\n'),
  )
  if (failed.length > 0) throw new CliFailure(`${failed.length} events were not taken.`)
}
