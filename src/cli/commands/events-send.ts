import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import type { ApiClient } from '../api-client.ts'
import { clientOf, outputOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { type BatchAnswer, type EventText, sendBatch } from '../event-batches.ts'
import { CliFailure, fileFailure, Interrupted, wrongUse } from '../failure.ts'
import { collect, given, readPairs } from '../flags.ts'
import { printable } from '../output.ts'

interface SendFlags extends ServerOptions {
  readonly type?: string
  readonly subject?: string
  readonly source?: string
  readonly id?: string
  readonly time?: string
  readonly property: readonly string[]
}

/** What became of the events of a file. */
export interface SendTotals {
  sent: number
  accepted: number
  duplicates: number
  rejected: {
    readonly event: number
    readonly id: string | null
    readonly code: string
    readonly detail: string
  }[]
}

const BATCH_EVENTS = 100
const REJECTIONS_SHOWN_MAX = 20

export function addSendCommand(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('send [file]')
      .description('send CloudEvents, one JSON object a line, from a file or stdin (-); or one made of flags')
      .option('--type <type>', 'make one event of this type')
      .option('--subject <id>', 'who used')
      .option('--property <name=value>', 'a property of the event; may be given again', collect, [])
      .option('--source <source>', 'where it comes from (default: tallyman-cli)')
      .option('--id <id>', 'its id; sending it again with the same id adds nothing (default: a new one)')
      .option('--time <instant>', 'RFC 3339 (default: now, by the server)')
      .addHelpText(
        'after',
        '\nExample: tallyman events send --type llm.request --subject acme --property tokens=120',
      ),
  ).action(async (file: string | undefined, options: SendFlags) => {
    const output = outputOf(deps, options)
    if ((file === undefined) === (options.type === undefined)) {
      throw wrongUse('Name a file (or - for stdin), or make one event with --type and --subject; not both.')
    }
    const api = clientOf(deps, options)
    const totals: SendTotals = { sent: 0, accepted: 0, duplicates: 0, rejected: [] }
    if (file === undefined) {
      const event = eventOfFlags(options, deps.newId)
      add(totals, await sendBatch(api, [JSON.stringify(event)]), 1)
      output.result({ ...totals, event }, () => describeSent(totals, `id ${event.id}`))
    } else {
      const input = file === '-' ? deps.stdin : createReadStream(file)
      await sendLines(api, input, file, totals, deps.interrupted)
      output.result(totals, () => describeSent(totals, null))
    }
    if (totals.rejected.length > 0) throw new CliFailure(`${totals.rejected.length} events were rejected.`)
  })
}

function eventOfFlags(options: SendFlags, newId: () => string): { readonly id: string } {
  if (options.subject === undefined) throw wrongUse('--subject is missing: who used?')
  const event = {
    specversion: '1.0',
    id: options.id ?? newId(),
    source: options.source ?? 'tallyman-cli',
    type: options.type,
    subject: options.subject,
    ...given({ time: options.time }),
    data: readPairs('--property', options.property),
  }
  return event
}

/** Sends the lines of a file or of stdin, a JSON object each, in batches. @throws CliFailure with the line's number */
export async function sendLines(
  api: ApiClient,
  input: Readable,
  name: string,
  totals: SendTotals,
  interrupted: AbortSignal,
  path?: string,
): Promise<void> {
  let batch: EventText[] = []
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return
    const events = batch
    batch = []
    add(totals, await sendBatch(api, events, path), events.length)
  }
  for await (const { text, number } of linesOf(input, name)) {
    if (interrupted.aborted) throw new Interrupted()
    if (text.trim() === '') continue
    checkObject(text, number)
    batch.push(text)
    if (batch.length === BATCH_EVENTS) await flush()
  }
  await flush()
}

async function* linesOf(
  input: Readable,
  name: string,
): AsyncGenerator<{ readonly text: string; readonly number: number }> {
  let number = 0
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      number++
      yield { text: number === 1 ? line.replace(/^\uFEFF/, '') : line, number }
    }
  } catch (error) {
    throw fileFailure(name, error)
  }
}

function checkObject(text: string, line: number): void {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new CliFailure(
      `Line ${line} is not JSON: ${printable(error instanceof Error ? error.message : String(error))}`,
      {
        details: ['One event a line is expected; a JSON array has to be unfolded first (jq -c ".[]").'],
        cause: error,
      },
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CliFailure(`Line ${line} is not a JSON object. One event a line is expected.`)
  }
}

function add(totals: SendTotals, answer: BatchAnswer, events: number): void {
  for (const { index, id, code, detail } of answer.rejected) {
    totals.rejected.push({ event: totals.sent + index + 1, id: id ?? null, code, detail })
  }
  totals.sent += events
  totals.accepted += answer.accepted
  totals.duplicates += answer.duplicates
}

export function describeSent(totals: SendTotals, note: string | null): string {
  const shown = totals.rejected.slice(0, REJECTIONS_SHOWN_MAX)
  return [
    `${totals.accepted} accepted, ${totals.duplicates} were there already, ${totals.rejected.length} rejected${note === null ? '' : `, ${note}`}`,
    ...shown.map((one) =>
      printable(`  event ${one.event} (${one.id ?? 'no id'}): ${one.code}: ${one.detail}`),
    ),
    ...(totals.rejected.length > shown.length ? [`  and ${totals.rejected.length - shown.length} more`] : []),
  ].join('\n')
}
