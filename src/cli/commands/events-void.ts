import type { Command } from 'commander'
import { z } from 'zod'
import { readShape } from '../api-client.ts'
import { clientOf, outputOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure } from '../failure.ts'
import { printable } from '../output.ts'

const answerShape = z.looseObject({
  accepted: z.number(),
  duplicates: z.number().nullish(),
  rejected: z
    .array(z.looseObject({ id: z.string().nullish(), code: z.string(), detail: z.string() }))
    .nullish(),
})

/** Events of one request. */
const EVENTS_MAX = 100

export function addVoidCommand(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('void <id...>')
      .description('take events back: they stop counting, and the record of them stays')
      .requiredOption('--source <source>', 'the source of the events')
      .requiredOption('--reason <text>', 'why, for the record'),
  ).action(
    async (ids: string[], options: ServerOptions & { readonly source: string; readonly reason: string }) => {
      const api = clientOf(deps, options)
      const path = '/v1/events/void'
      let accepted = 0
      const rejected: {
        readonly id?: string | null | undefined
        readonly code: string
        readonly detail: string
      }[] = []
      for (let from = 0; from < ids.length; from += EVENTS_MAX) {
        const events = ids
          .slice(from, from + EVENTS_MAX)
          .map((id) => ({ source: options.source, id, reason: options.reason }))
        const answer = readShape(
          answerShape,
          await api.json('POST', path, { events }, { repeatable: true }),
          path,
        )
        accepted += answer.accepted
        rejected.push(...(answer.rejected ?? []))
      }
      outputOf(deps, options).result({ accepted, rejected }, () =>
        [
          `${accepted} events are void.`,
          ...rejected.map((one) => printable(`  ${one.id ?? '?'}: ${one.code}: ${one.detail}`)),
        ].join('\n'),
      )
      if (rejected.length > 0) throw new CliFailure(`${rejected.length} events could not be voided.`)
    },
  )
}
