import type { Command } from 'commander'
import { z } from 'zod'
import { readShape } from '../api-client.ts'
import { clientOf, outputOf, pause, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { printable } from '../output.ts'

const pageShape = z.object({
  data: z.array(
    z.looseObject({
      source: z.string(),
      id: z.string(),
      type: z.string(),
      subject: z.string(),
      time: z.string(),
      data: z.record(z.string(), z.unknown()).nullish(),
    }),
  ),
  nextCursor: z.string().nullish(),
})

const POLL_INTERVAL_MS = 1_000

export function addTailCommand(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('tail')
      .description('follow events as they become countable, until Ctrl-C')
      .option('--type <type>', 'only of this type')
      .option('--subject <id>', 'only of this subject')
      .option('--once', 'show the newest ones and end'),
  ).action(
    async (
      options: ServerOptions & { readonly type?: string; readonly subject?: string; readonly once?: true },
    ) => {
      const api = clientOf(deps, options)
      const output = outputOf(deps, options)
      let cursor: string | undefined
      while (!deps.interrupted.aborted) {
        const page = readShape(
          pageShape,
          await api.json('GET', '/v1/events', undefined, {
            query: { type: options.type, subject: options.subject, after: cursor },
          }),
          '/v1/events',
        )
        for (const event of page.data) {
          output.line(event, () =>
            printable(
              `${event.time}  ${event.type}  ${event.subject}  ${event.source} ${event.id}  ${JSON.stringify(event.data ?? {})}`,
            ),
          )
        }
        cursor = page.nextCursor ?? cursor
        if (options.once === true) return
        if (page.data.length === 0) await pause(POLL_INTERVAL_MS, deps.interrupted)
      }
    },
  )
}
