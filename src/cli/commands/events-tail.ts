import type { Command } from 'commander'
import { z } from 'zod'
import { readShape } from '../api-client.ts'
import { clientOf, outputOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, wrongUse } from '../failure.ts'
import { printable } from '../output.ts'

const PATH = '/v1/events/tail'

const eventShape = z.looseObject({
  source: z.string(),
  id: z.string(),
  type: z.string(),
  subject: z.string(),
  time: z.string(),
  data: z.record(z.string(), z.unknown()),
})
const skippedShape = z.object({ records: z.number() })

interface TailFlags extends ServerOptions {
  readonly type?: string
  readonly subject?: string
  readonly count?: string
}

export function addTailCommand(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('tail')
      .description('follow events as they are accepted, until Ctrl-C')
      .option('--type <type>', 'only of this type')
      .option('--subject <id>', 'only of this subject')
      .option('--count <n>', 'end after so many events'),
  ).action(async (options: TailFlags) => {
    const left = readCount(options.count)
    const output = outputOf(deps, options)
    let shown = 0
    const { type, subject } = options
    for await (const { name, data } of clientOf(deps, options).messages(PATH, { type, subject })) {
      switch (name) {
        case 'event': {
          const event = readShape(eventShape, JSON.parse(data), PATH)
          output.line(event, () => lineOf(event))
          if (++shown === left) return
          break
        }
        case 'skipped': {
          const { records } = readShape(skippedShape, JSON.parse(data), PATH)
          output.note(`(${records} records of the log were skipped: they came faster than can be shown)`)
          break
        }
        case 'dropped':
          throw new CliFailure('The server dropped this client: events came faster than they were read.', {
            details: ['Narrow them with --type or --subject.'],
          })
        default:
          break
      }
    }
    if (!deps.interrupted.aborted)
      throw new CliFailure('The server ended the stream. Follow again when it is back.')
  })
}

function readCount(text: string | undefined): number | null {
  if (text === undefined) return null
  if (!/^[1-9]\d{0,9}$/.test(text)) throw wrongUse(`--count must be a whole number from 1; it is "${text}".`)
  return Number(text)
}

function lineOf({ time, type, subject, source, id, data }: z.infer<typeof eventShape>): string {
  return printable(`${time}  ${type}  ${subject}  ${source} ${id}  ${JSON.stringify(data)}`)
}
