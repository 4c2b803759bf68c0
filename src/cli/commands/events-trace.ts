import type { Command } from 'commander'
import { clientOf, outputOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { renderOne } from './resource.ts'

export function addTraceCommand(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('trace <id>')
      .description('where an event is: its copies, which one counts, its meters, its invoice; and why not')
      .requiredOption('--source <source>', 'the source of the event'),
  ).action(async (id: string, options: ServerOptions & { readonly source: string }) => {
    const answer = await clientOf(deps, options).json('GET', '/v1/events/trace', undefined, {
      query: { source: options.source, id },
    })
    outputOf(deps, options).result(answer, () => renderOne(answer))
  })
}
