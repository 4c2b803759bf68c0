import type { Command } from 'commander'
import { clientOf, outputOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { readDocument } from '../document.ts'
import { wrongUse } from '../failure.ts'
import { type Column, printable, renderTable } from '../output.ts'

/** A kind of thing that the API keeps under `/v1/<plural>/<key>`. */
export interface ResourceKind {
  /** `meter` */
  readonly name: string
  readonly path: string
  /** Columns of the list: member → header. Members that an item lacks stay empty. */
  readonly columns: readonly (Column & { readonly member: string })[]
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.join(',')
  return JSON.stringify(value)
}

export function renderList(kind: ResourceKind, items: readonly unknown[]): string {
  if (items.length === 0) return `No ${kind.name}s.`
  return renderTable(
    kind.columns,
    items.map((item) =>
      kind.columns.map((column) => cellText((item as Record<string, unknown>)[column.member])),
    ),
  )
}

/** Members of one thing, one a line, nested ones as JSON. */
export function renderOne(item: unknown): string {
  if (typeof item !== 'object' || item === null) return printable(JSON.stringify(item))
  const members = Object.entries(item as Readonly<Record<string, unknown>>).filter(
    ([, value]) => value !== null && value !== undefined,
  )
  const width = Math.max(0, ...members.map(([name]) => name.length))
  return members
    .map(([name, value]) =>
      typeof value === 'object' && value !== null && !isFlatList(value)
        ? `${name}:\n${JSON.stringify(value, null, 2).replace(/^/gm, '  ')}`
        : `${name.padEnd(width)}  ${printable(cellText(value))}`,
    )
    .join('\n')
}

function isFlatList(value: object): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

export function addListCommand(
  group: Command,
  deps: CliDeps,
  kind: ResourceKind,
  filters: readonly { readonly name: string; readonly help: string }[] = [],
): void {
  const command = group.command('list').description(`every ${kind.name}`)
  for (const filter of filters) command.option(`--${filter.name} <value>`, filter.help)
  withServerOptions(command).action(async (options: ServerOptions & Readonly<Record<string, unknown>>) => {
    const query = Object.fromEntries(
      filters.map(({ name }) => [name, typeof options[name] === 'string' ? options[name] : undefined]),
    )
    const data = await clientOf(deps, options).list(kind.path, query)
    outputOf(deps, options).result({ data }, () => renderList(kind, data))
  })
}

export function addShowCommand(group: Command, deps: CliDeps, kind: ResourceKind): void {
  withServerOptions(group.command('show <key>').description(`one ${kind.name}`)).action(
    async (key: string, options: ServerOptions) => {
      const answer = await clientOf(deps, options).json('GET', `${kind.path}/${encodeURIComponent(key)}`)
      outputOf(deps, options).result(answer, () => renderOne(answer))
    },
  )
}

/**
 * `put <key>`: creates or replaces. Members come from a file, flags win over the file.
 * `describe` adds the flags to the command and `read` makes members of what was given.
 */
export function addPutCommand(
  group: Command,
  deps: CliDeps,
  kind: ResourceKind,
  describe: (command: Command) => Command,
  read: (command: Command) => Readonly<Record<string, unknown>>,
): void {
  const command = describe(
    group
      .command('put <key>')
      .description(`create or replace a ${kind.name}`)
      .option('-f, --file <file>', 'YAML or JSON with its members; - is stdin'),
  )
  withServerOptions(command).action(
    async (key: string, options: ServerOptions & { readonly file?: string }) => {
      const body = {
        ...(options.file === undefined ? {} : await readDocument(options.file, deps.stdin)),
        ...read(command),
      }
      if (Object.keys(body).length === 0) {
        throw wrongUse(
          `Nothing to put: name a file with --file, or give the members of the ${kind.name} as flags.`,
        )
      }
      const answer = await clientOf(deps, options).json(
        'PUT',
        `${kind.path}/${encodeURIComponent(key)}`,
        body,
      )
      outputOf(deps, options).result(answer, () => renderOne(answer))
    },
  )
}
