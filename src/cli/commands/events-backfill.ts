import { createReadStream } from 'node:fs'
import type { Command } from 'commander'
import { z } from 'zod'
import { type ApiClient, readShape } from '../api-client.ts'
import { clientOf, outputOf, type ServerOptions, waitFor, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, wrongUse } from '../failure.ts'
import { grouped, renderTable } from '../output.ts'
import { describeSent, sendLines, type SendTotals } from './events-send.ts'

interface BackfillFlags extends ServerOptions {
  readonly id?: string
  readonly source?: string
  readonly from?: string
  readonly to?: string
  readonly reason?: string
  readonly close?: true
  readonly cancel?: true
}

const BACKFILLS_PATH = '/v1/backfills'
/** Millions of events are read and appended after a close. */
const CLOSE_MS_MAX = 3_600_000

const backfillShape = z.looseObject({
  id: z.string(),
  state: z.enum(['open', 'closing', 'closed', 'cancelled']),
  events: z.number().nullable(),
  totals: z
    .array(
      z.looseObject({
        meter: z.string(),
        customer: z.string().nullable(),
        value: z.string().nullable(),
        events: z.number(),
        unusable: z.number(),
      }),
    )
    .optional(),
})
type Backfill = z.infer<typeof backfillShape>

/** `events backfill`: open, send, look, and then close or cancel; in one call or several. */
export function addBackfillCommand(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('backfill [file]')
      .description('usage of before the accept window; nothing of it counts until it is closed')
      .option('--id <id>', 'a backfill that is there; without it, one is opened')
      .option('--source <source>', "every event's source; one that live events do not have")
      .option('--from <instant>', 'start of the range of its times, RFC 3339')
      .option('--to <instant>', 'end of that range, not included')
      .option('--reason <text>', 'why, for the record')
      .option('--close', 'let it count, and wait until it does')
      .option('--cancel', 'drop it: nothing of it ever counts')
      .addHelpText(
        'after',
        '\nExample: tallyman events backfill old.ndjson --source /backfill/2025-01 --from 2025-01-01T00:00:00Z --to 2025-02-01T00:00:00Z --reason "lost export"\n         tallyman events backfill --id job_… --close',
      ),
  ).action(async (file: string | undefined, options: BackfillFlags) => {
    if (options.close === true && options.cancel === true)
      throw wrongUse('Give --close or --cancel, not both.')
    const output = outputOf(deps, options)
    const api = clientOf(deps, options)
    const id = options.id ?? (await open(api, options))
    const path = `${BACKFILLS_PATH}/${encodeURIComponent(id)}`
    const sent: SendTotals = { sent: 0, accepted: 0, duplicates: 0, rejected: [] }
    if (file !== undefined) {
      const input = file === '-' ? deps.stdin : createReadStream(file)
      await sendLines(api, input, file, sent, deps.interrupted, `${path}/events`)
      output.note(describeSent(sent, `backfill ${id}`))
    }
    // What was rejected must be looked at before the rest counts.
    const isGood = sent.rejected.length === 0
    if (options.close === true && isGood) await close(deps, api, path)
    if (options.cancel === true) await ask(api, 'POST', `${path}/cancel`)
    const backfill = await ask(api, 'GET', path, { totals: 'true' })
    output.result({ ...backfill, sent }, () => textOf(backfill))
    if (!isGood)
      throw new CliFailure(`${sent.rejected.length} events were rejected; the backfill is not closed.`)
  })
}

async function open(api: ApiClient, { source, from, to, reason }: BackfillFlags): Promise<string> {
  if (source === undefined || from === undefined || to === undefined || reason === undefined) {
    throw wrongUse('Name a backfill with --id, or open one with --source, --from, --to and --reason.')
  }
  const made = await api.json('POST', BACKFILLS_PATH, { source, from, to, reason })
  return readShape(backfillShape, made, BACKFILLS_PATH).id
}

async function close(deps: CliDeps, api: ApiClient, path: string): Promise<void> {
  let last = await ask(api, 'POST', `${path}/close`)
  await waitFor({
    ...{ deps, what: 'the backfill to be closed', limitMs: CLOSE_MS_MAX },
    probe: async () => {
      if (last.state === 'closing') last = await ask(api, 'GET', path)
      return last.state === 'closing' ? null : last
    },
    seen: () => last.state,
  })
}

async function ask(
  api: ApiClient,
  method: string,
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<Backfill> {
  const answer = await api.json(method, path, undefined, { query, repeatable: true })
  return readShape(backfillShape, answer, path)
}

function textOf({ id, state, events, totals = [] }: Backfill): string {
  const table = renderTable(
    [
      { header: 'Meter' },
      { header: 'Customer' },
      { header: 'Value', align: 'right' },
      { header: 'Events', align: 'right' },
    ],
    totals.map((total) => [
      total.meter,
      total.customer ?? '(all)',
      total.value === null ? '' : grouped(total.value),
      grouped(total.events),
    ]),
  )
  const standing = {
    open: 'Nothing of this counts yet: --close lets it count, --cancel drops it.',
    closing: 'It begins to count.',
    closed: `${grouped(events ?? 0)} events count by it.`,
    cancelled: 'It was dropped: nothing of it counts.',
  }[state]
  return `${table}\n${id} is ${state}. ${standing}`
}
