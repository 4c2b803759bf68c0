import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import type { JsonObject } from '../../catalog/json-reader.ts'
import { type PlanChange, planDiff } from '../../catalog/plan-diff.ts'
import { parsePlan, type PlanFault } from '../../catalog/plan-parse.ts'
import {
  clientOf,
  type CommonOptions,
  outputOf,
  type ServerOptions,
  withCommonOptions,
  withServerOptions,
} from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { readDocument } from '../document.ts'
import { CliFailure, fileFailure } from '../failure.ts'
import { printable } from '../output.ts'

/** Members of the API's answer that say of a plan what only the server knows. */
const SERVER_MEMBERS = [
  'key',
  'version',
  'createdAt',
  'subscriptionsReached',
  'effectiveAt',
  'existingSubscriptions',
]

/** Plans of a file by their keys: a catalog `{plans: {key: plan}}`, or one plan, whose key is not in the file. */
interface PlanFile {
  readonly plans: readonly {
    readonly key: string | null
    readonly pointer: string
    readonly plan: JsonObject
  }[]
}

/** `plan lint|diff|import|export`: catalogs as files. */
export function addPlanFileCommands(group: Command, deps: CliDeps): void {
  addLint(group, deps)
  addDiff(group, deps)
  addImport(group, deps)
  addExport(group, deps)
}

function addLint(group: Command, deps: CliDeps): void {
  withCommonOptions(
    group
      .command('lint <file>')
      .description('every fault of a plan, or of a catalog of plans, at once; needs no server'),
  ).action(async (path: string, options: CommonOptions) => {
    const faults = await lint(path, deps)
    outputOf(deps, options).result({ ok: faults.length === 0, faults }, () =>
      faults.length === 0 ? `${path} has no faults.` : faults.map(faultText).join('\n'),
    )
    if (faults.length > 0) throw new CliFailure(`${path} has ${countText(faults.length, 'fault')}.`)
  })
}

async function lint(path: string, deps: CliDeps): Promise<readonly PlanFault[]> {
  const { plans } = planFileOf(await readDocument(path, deps.stdin))
  return plans.flatMap(({ pointer, plan }) => {
    const parsed = parsePlan(plan)
    return parsed.kind === 'plan'
      ? []
      : parsed.faults.map((fault) => ({ ...fault, pointer: pointer + fault.pointer }))
  })
}

function faultText({ pointer, detail }: PlanFault): string {
  return printable(`${pointer === '' ? '/' : pointer} ${detail}`)
}

function countText(count: number, thing: string): string {
  return `${String(count)} ${thing}${count === 1 ? '' : 's'}`
}

function addDiff(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('diff <before> <after>')
      .description('what two plans do not share; each a file, or KEY or KEY@VERSION of the server')
      .addHelpText('after', '\nExample: tallyman plan diff llm-api@1 plan.yaml'),
  ).action(async (before: string, after: string, options: ServerOptions) => {
    const changes = planDiff(await planNamed(before, deps, options), await planNamed(after, deps, options))
    outputOf(deps, options).result({ changes }, () =>
      changes.length === 0 ? 'They are the same.' : changes.map(changeText).join('\n'),
    )
  })
}

/** A file's name has a dot or a slash, or is `-`; a plan's key has neither. */
async function planNamed(name: string, deps: CliDeps, options: ServerOptions): Promise<JsonObject> {
  if (name === '-' || /[./\\]/.test(name)) {
    const [first, second] = planFileOf(await readDocument(name, deps.stdin)).plans
    if (first === undefined || second !== undefined) throw new CliFailure(`${name} must hold one plan.`)
    return first.plan
  }
  const [key = '', version] = name.split('@')
  const answer = await clientOf(deps, options).json(
    'GET',
    `/v1/plans/${encodeURIComponent(key)}`,
    undefined,
    version === undefined ? {} : { query: { version } },
  )
  return withoutServerMembers(answer as JsonObject)
}

function changeText({ kind, pointer, before, after }: PlanChange): string {
  const sign = { added: '+', removed: '-', changed: '~' }[kind]
  const values = [before, after].filter((value) => value !== undefined).map((value) => JSON.stringify(value))
  return printable(`${sign} ${pointer} ${values.join(' -> ')}`)
}

function addImport(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('import <file>')
      .description('put every plan of a catalog; nothing is sent while any of them has a fault'),
  ).action(async (path: string, options: ServerOptions) => {
    const { plans } = planFileOf(await readDocument(path, deps.stdin))
    const faults = plans.flatMap(({ pointer, plan, key }) => {
      if (key === null) return [{ pointer: '', detail: 'has no keys of plans: write {plans: {KEY: …}}' }]
      const parsed = parsePlan(plan)
      return parsed.kind === 'plan'
        ? []
        : parsed.faults.map((fault) => ({ ...fault, pointer: pointer + fault.pointer }))
    })
    if (faults.length > 0) {
      throw new CliFailure(`${path} has ${countText(faults.length, 'fault')}; nothing was sent.`, {
        details: faults.map(faultText),
      })
    }
    const client = clientOf(deps, options)
    const output = outputOf(deps, options)
    const imported: unknown[] = []
    for (const { key, plan } of plans) {
      const answer = await client.json('PUT', `/v1/plans/${encodeURIComponent(key ?? '')}`, plan)
      imported.push(answer)
      output.note(`${key ?? ''}: version ${String((answer as JsonObject)['version'])}`)
    }
    output.result({ imported }, () => `${countText(imported.length, 'plan')} imported.`)
  })
}

function addExport(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('export [keys...]')
      .description('plans as a YAML catalog, all or those named, each in its newest version')
      .option('-o, --output <file>', 'instead of stdout'),
  ).action(async (keys: readonly string[], options: ServerOptions & { readonly output?: string }) => {
    const all = (await clientOf(deps, options).list('/v1/plans')) as readonly JsonObject[]
    const wanted = keys.length === 0 ? all : keys.map((key) => planOf(all, key))
    const catalog = {
      plans: Object.fromEntries(wanted.map((plan) => [String(plan['key']), withoutServerMembers(plan)])),
    }
    const { output: path } = options
    if (path === undefined) {
      outputOf(deps, options).result(catalog, () => stringify(catalog, STRINGIFY).trimEnd())
      return
    }
    try {
      writeFileSync(path, stringify(catalog, STRINGIFY))
    } catch (error) {
      throw fileFailure(path, error)
    }
    outputOf(deps, options).result(
      { file: path, plans: wanted.length },
      () => `${countText(wanted.length, 'plan')} written to ${path}.`,
    )
  })
}

/** No line is folded. Decimals are text, which YAML writes in quotes. */
const STRINGIFY = { lineWidth: 0 } as const

function planOf(all: readonly JsonObject[], key: string): JsonObject {
  const plan = all.find((one) => one['key'] === key)
  if (plan === undefined) throw new CliFailure(`There is no plan ${key}.`)
  return plan
}

function withoutServerMembers(plan: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(plan).filter(([name]) => !SERVER_MEMBERS.includes(name)))
}

function planFileOf(document: JsonObject): PlanFile {
  const catalog = document['plans']
  if (catalog === undefined) return { plans: [{ key: null, pointer: '', plan: document }] }
  if (
    typeof catalog !== 'object' ||
    catalog === null ||
    Array.isArray(catalog) ||
    Object.keys(document).length > 1
  ) {
    throw new CliFailure('A catalog is {plans: {KEY: plan, …}} and nothing else.')
  }
  const plans = Object.entries(catalog as JsonObject).map(([key, plan]) => ({
    key,
    pointer: `/plans/${key}`,
    plan: plan as JsonObject,
  }))
  return { plans }
}
