import { createHash } from 'node:crypto'
import { closeSync, fstatSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs'
import { basename, extname } from 'node:path'
import type { ApiClient } from '../api-client.ts'
import { createLane, type EventText, sendBatch } from '../event-batches.ts'
import { CliFailure, fileFailure, Interrupted } from '../failure.ts'
import type { Progress } from '../progress.ts'
import type { CheckpointFile } from './checkpoint.ts'
import { eventOfRow } from './event-of-row.ts'
import type { Mapping } from './mapping.ts'
import { type BrokenRow, type FileRow, readCsv, readNdjson } from './rows.ts'

const BATCH_EVENTS = 500
const BATCH_BYTES_MAX = 2_000_000
const IN_FLIGHT_MAX = 4
/** Rows between two checkpoints. */
const CHECKPOINT_ROWS = 50_000

export interface ImportOptions {
  readonly path: string
  readonly mapping: Mapping
  readonly source: string
  /** Null: read and judge every row, send nothing. */
  readonly api: ApiClient | null
  readonly checkpoint: CheckpointFile | null
  readonly rejectsPath: string
  readonly progress: Progress
  readonly interrupted: AbortSignal
}

export interface ImportResult {
  readonly rows: number
  readonly accepted: number
  readonly duplicates: number
  readonly rejected: number
  /** Rows that an earlier, interrupted run had done. */
  readonly resumedAfter: number
  /** Null when nothing was rejected. */
  readonly rejectsFile: string | null
  /** Of a dry run: the first events as they would be sent. */
  readonly sample: readonly unknown[]
}

/** Size of the file in bytes. @throws CliFailure when it is not a readable file */
export function fileSize(path: string): number {
  try {
    const stat = statSync(path)
    if (!stat.isFile()) throw new CliFailure(`${path} is not a file.`)
    return stat.size
  } catch (error) {
    throw fileFailure(path, error)
  }
}

/** What the mapping says, else what the file's name says, else CSV. */
function formatOf(path: string, mapping: Mapping): 'csv' | 'ndjson' {
  const ending = extname(path).toLowerCase()
  return mapping.format ?? (['.ndjson', '.jsonl', '.json'].includes(ending) ? 'ndjson' : 'csv')
}

function rowsOf(path: string, mapping: Mapping): AsyncGenerator<FileRow | BrokenRow> {
  return formatOf(path, mapping) === 'csv' ? readCsv(path, mapping.delimiter) : readNdjson(path)
}

/**
 * The default source of a file's events. Where ids are row numbers, it carries a hash of the first row: another
 * month's file of the same name is another source, and the same file with rows added behind is the same one.
 */
export async function defaultSource(path: string, mapping: Mapping): Promise<string> {
  if (mapping.source !== null) return mapping.source
  const name = encodeURIComponent(basename(path))
  if (mapping.id !== null) return name
  for await (const row of rowsOf(path, mapping)) {
    const outcome = row.kind === 'row' ? eventOfRow(mapping, name, row) : null
    const text = outcome?.kind === 'event' ? outcome.event : JSON.stringify(outcome)
    return `${name}#${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
  }
  return name
}

interface Pending {
  events: EventText[]
  rows: { readonly number: number; readonly line: number }[]
  bytes: number
}

interface Counts {
  accepted: number
  duplicates: number
  rejected: number
}

/** Sends every row of the file as an event, in bounded memory. @throws CliFailure */
export async function runImport(options: ImportOptions): Promise<ImportResult> {
  const { path, mapping, source, api, checkpoint, progress, interrupted } = options
  const resumed = checkpoint?.read() ?? null
  const counts: Counts = {
    accepted: resumed?.accepted ?? 0,
    duplicates: resumed?.duplicates ?? 0,
    rejected: resumed?.rejected ?? 0,
  }
  const rejects = openRejects(options.rejectsPath, resumed?.rejectsBytes ?? 0)
  const lane = createLane(IN_FLIGHT_MAX)
  const sample: unknown[] = []
  let pending: Pending = { events: [], rows: [], bytes: 0 }
  let rows = 0
  let checkpointAt = (resumed?.rows ?? 0) + CHECKPOINT_ROWS

  const reject = (line: number, reason: string, row: number): void => {
    counts.rejected++
    rejects.write({ line, row, reason })
  }
  const flush = async (): Promise<void> => {
    if (pending.events.length === 0) return
    const { events, rows: places } = pending
    pending = { events: [], rows: [], bytes: 0 }
    if (api === null) {
      counts.accepted += events.length
      return
    }
    await lane.start(async () => {
      const answer = await sendBatch(api, events)
      counts.accepted += answer.accepted
      counts.duplicates += answer.duplicates
      for (const { index, code, detail } of answer.rejected) {
        const place = places[index]
        if (place !== undefined) reject(place.line, `${code}: ${detail}`, place.number)
      }
    })
  }
  try {
    for await (const row of rowsOf(path, mapping)) {
      if (interrupted.aborted) throw new Interrupted()
      if (rows === 0 && row.kind === 'row') checkColumns(path, mapping, row)
      rows = row.number
      progress.advance(row.bytes, rows)
      if (resumed !== null && row.number <= resumed.rows) continue
      const outcome =
        row.kind === 'broken'
          ? { kind: 'rejected' as const, reason: row.reason }
          : eventOfRow(mapping, source, row)
      if (outcome.kind === 'rejected') reject(row.line, outcome.reason, row.number)
      else {
        if (api === null && sample.length < 3) sample.push(JSON.parse(outcome.event))
        pending.events.push(outcome.event)
        pending.rows.push({ number: row.number, line: row.line })
        pending.bytes += outcome.event.length
      }
      if (pending.events.length >= BATCH_EVENTS || pending.bytes >= BATCH_BYTES_MAX) await flush()
      if (checkpoint !== null && rows >= checkpointAt) {
        await flush()
        await lane.drain()
        checkpoint.write({ rows, ...counts, rejectsBytes: rejects.bytes() })
        checkpointAt = rows + CHECKPOINT_ROWS
      }
    }
    await flush()
    await lane.drain()
    checkpoint?.remove()
  } finally {
    await lane.settle()
    rejects.close()
  }
  return {
    rows,
    ...counts,
    resumedAfter: resumed?.rows ?? 0,
    rejectsFile: counts.rejected === 0 ? null : options.rejectsPath,
    sample,
  }
}

/** A column that the first row lacks is a fault of the mapping, not of every row. NDJSON rows may differ. */
function checkColumns(path: string, mapping: Mapping, row: FileRow): void {
  const ndjson = formatOf(path, mapping) === 'ndjson'
  const templates = [
    mapping.type,
    mapping.subject,
    mapping.time,
    ...(mapping.id === null ? [] : [mapping.id]),
  ]
  const named = [...templates, ...(ndjson ? [] : mapping.data.values())].flatMap(
    (template) => template.columns,
  )
  const missing = [...new Set(named)].filter((column) => row.read(column) === undefined)
  if (missing.length > 0) {
    throw new CliFailure(
      `The mapping reads ${missing.map((name) => `"${name}"`).join(', ')}, which ${path} does not have.`,
    )
  }
}

interface Rejects {
  write(reject: { readonly line: number; readonly row: number; readonly reason: string }): void
  /** Length of the file. */
  bytes(): number
  close(): void
}

/** The file comes into being with the first reject; a resumed import goes on behind what its checkpoint knows. */
function openRejects(path: string, keptBytes: number): Rejects {
  let file: number | null = null
  let bytes = keptBytes
  const attempt = <T>(act: () => T): T => {
    try {
      return act()
    } catch (error) {
      throw fileFailure(path, error)
    }
  }
  const open = (): number => {
    const opened = openSync(path, keptBytes > 0 ? 'a' : 'w', 0o600)
    // Somebody may have taken the file away meanwhile: it must not be filled up with nothing.
    if (keptBytes > 0) ftruncateSync(opened, Math.min(keptBytes, fstatSync(opened).size))
    return opened
  }
  // What an earlier run told behind its checkpoint is told again, or is no reject any more.
  if (keptBytes > 0) file = attempt(open)
  return {
    write: (reject) =>
      attempt(() => {
        file ??= open()
        bytes += writeSync(file, `${JSON.stringify(reject)}\n`)
      }),
    bytes: () => bytes,
    close: () => {
      if (file !== null) closeSync(file)
    },
  }
}
