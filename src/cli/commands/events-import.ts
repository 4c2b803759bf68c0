import { basename } from 'node:path'
import type { Command } from 'commander'
import { clientOf, outputOf, progressOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { readLocatedDocument } from '../document.ts'
import { CliFailure } from '../failure.ts'
import { fingerprintOf, openCheckpoint } from '../import/checkpoint.ts'
import { parseMapping } from '../import/mapping.ts'
import { defaultSource, fileSize, type ImportResult, runImport } from '../import/run.ts'
import { grouped } from '../output.ts'

interface ImportFlags extends ServerOptions {
  readonly mapping: string
  readonly source?: string
  readonly dryRun?: true
  readonly rejects?: string
  readonly restart?: true
}

export function addImportCommand(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('import <file>')
      .description('send a CSV or NDJSON file of any size as events; running it twice adds nothing')
      .requiredOption('--mapping <file>', 'YAML that says how a row becomes an event')
      .option('--source <name>', "the events' source (default: the mapping's, else made from the file)")
      .option('--dry-run', 'read and judge every row, send nothing, show the first events')
      .option(
        '--rejects <file>',
        'where rows go that are no events, with line and reason (default: beside the file)',
      )
      .option('--restart', 'begin at the first row, even where an interrupted import could go on'),
  ).action(async (file: string, options: ImportFlags) => {
    const output = outputOf(deps, options)
    const bytes = fileSize(file)
    const document = await readLocatedDocument(options.mapping, deps.stdin)
    const mapping = parseMapping(document, options.mapping)
    const source = options.source ?? (await defaultSource(file, mapping))
    const api = options.dryRun === true ? null : clientOf(deps, options)
    const progress = progressOf(deps, output, `importing ${basename(file)}`, bytes, 'rows')
    const checkpoint =
      api === null
        ? null
        : openCheckpoint(
            `${file}.import`,
            fingerprintOf({ path: file, mapping: JSON.stringify(document.value), source, url: api.url }),
          )
    if (options.restart === true) checkpoint?.remove()
    let result: ImportResult
    try {
      result = await runImport({
        path: file,
        mapping,
        source,
        api,
        checkpoint,
        rejectsPath: options.rejects ?? `${file}.rejects.ndjson`,
        progress,
        interrupted: deps.interrupted,
      })
    } finally {
      progress.stop()
    }
    output.result({ source, dryRun: api === null, ...result }, () => describe(result, source, api === null))
    if (result.rejected > 0) {
      throw new CliFailure(
        `${grouped(result.rejected)} rows are no events; they stand with line and reason in ${result.rejectsFile ?? ''}.`,
      )
    }
  })
}

function describe(result: ImportResult, source: string, dryRun: boolean): string {
  const lines = [
    ...(result.resumedAfter === 0
      ? []
      : [`Went on after row ${grouped(result.resumedAfter)} of an earlier run.`]),
    dryRun
      ? `${grouped(result.rows)} rows read, ${grouped(result.accepted)} would be sent, nothing was. Source: ${source}`
      : `${grouped(result.rows)} rows: ${grouped(result.accepted)} accepted, ${grouped(result.duplicates)} were there already, ${grouped(result.rejected)} rejected. Source: ${source}`,
  ]
  if (result.sample.length > 0)
    lines.push('', ...result.sample.map((event) => JSON.stringify(event, null, 2)))
  return lines.join('\n')
}
