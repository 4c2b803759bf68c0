import type { Command } from 'commander'
import { z } from 'zod'
import { readShape } from '../api-client.ts'
import { clientOf, outputOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { readDocument } from '../document.ts'
import { CliFailure, wrongUse } from '../failure.ts'
import { collect, given } from '../flags.ts'
import { wholeNumber } from './customer.ts'
import {
  addListCommand,
  addPutCommand,
  addShowCommand,
  renderList,
  renderOne,
  type ResourceKind,
} from './resource.ts'

const KEY: ResourceKind = {
  name: 'key',
  path: '/v1/keys',
  columns: [
    { member: 'id', header: 'Id' },
    { member: 'hint', header: 'Key' },
    { member: 'name', header: 'Name' },
    { member: 'customer', header: 'Customer' },
    { member: 'subject', header: 'Subject' },
    { member: 'scopes', header: 'Scopes' },
    { member: 'status', header: 'Status' },
    { member: 'expiresAt', header: 'Expires' },
  ],
}

const QUOTA: ResourceKind = {
  name: 'quota',
  path: '/v1/quotas',
  columns: [
    { member: 'key', header: 'Key' },
    { member: 'meter', header: 'Meter' },
    { member: 'limit', header: 'Limit', align: 'right' },
    { member: 'unit', header: 'Unit' },
    { member: 'period', header: 'Period' },
    { member: 'mode', header: 'Mode' },
  ],
}

const QUOTA_STATE: ResourceKind = {
  name: 'quota',
  path: '',
  columns: [
    { member: 'key', header: 'Quota' },
    { member: 'phase', header: 'Phase' },
    { member: 'used', header: 'Used', align: 'right' },
    { member: 'limit', header: 'Limit', align: 'right' },
    { member: 'remaining', header: 'Left', align: 'right' },
    { member: 'unit', header: 'Unit' },
    { member: 'resetAt', header: 'Resets' },
  ],
}

interface KeyFlags {
  readonly file?: string
  readonly name?: string
  readonly customer?: string
  readonly subject?: string
  readonly scope: readonly string[]
  readonly quota: readonly string[]
  readonly expiresAt?: string
  readonly rate?: string
}

const createdKeyShape = z.looseObject({ id: z.string(), key: z.string() })

export function addKeyCommand(program: Command, deps: CliDeps): void {
  const group = program.command('key').description('API keys')
  addListCommand(group, deps, KEY, [{ name: 'customer', help: 'only of this customer' }])
  addShowCommand(group, deps, KEY)

  withServerOptions(
    group
      .command('create')
      .alias('put')
      .description('make a key; it is shown once')
      .option('-f, --file <file>', 'YAML or JSON with its members; - is stdin')
      .option('--name <name>', 'what it is for')
      .option('--customer <key>', 'whose')
      .option('--subject <id>', 'for which subject')
      .option(
        '--scope <scope>',
        'ingest, read, admin, or a permission of yours; may be given again',
        collect,
        [],
      )
      .option('--quota <key>', 'a quota that binds it; may be given again', collect, [])
      .option('--expires-at <instant>', 'RFC 3339')
      .option('--rate <perSecond:burst>', 'how often it may be used, such as 10:50'),
  ).action(async (options: ServerOptions & KeyFlags) => {
    const body = {
      ...(options.file === undefined ? {} : await readDocument(options.file, deps.stdin)),
      ...readKeyFlags(options),
    }
    const path = KEY.path
    const answer = readShape(
      createdKeyShape,
      await clientOf(deps, options).json('POST', path, body, { repeatable: true }),
      path,
    )
    outputOf(deps, options).result(
      answer,
      () => `${answer.key}\n\nid ${answer.id}. The key is shown this once; keep it in a safe place.`,
    )
  })

  withServerOptions(
    group
      .command('rotate <id>')
      .description('a new key in its place; the old one ends after an overlap')
      .option('--overlap-seconds <n>', 'how long the old key goes on'),
  ).action(async (id: string, options: ServerOptions & { readonly overlapSeconds?: string }) => {
    const path = `${KEY.path}/${encodeURIComponent(id)}/rotate`
    const body =
      options.overlapSeconds === undefined
        ? {}
        : { overlapSeconds: wholeNumber('--overlap-seconds', options.overlapSeconds) }
    const answer = readShape(
      createdKeyShape,
      await clientOf(deps, options).json('POST', path, body, { repeatable: true }),
      path,
    )
    outputOf(deps, options).result(
      answer,
      () => `${answer.key}\n\nid ${answer.id}. The key is shown this once.`,
    )
  })

  withServerOptions(
    group.command('revoke <id>').description('end a key for good; answered when every gate refuses it'),
  ).action(async (id: string, options: ServerOptions) => {
    const path = `${KEY.path}/${encodeURIComponent(id)}`
    const answer = await clientOf(deps, options).json('DELETE', path, undefined, {
      query: { wait: 'applied' },
    })
    outputOf(deps, options).result(answer ?? { id, status: 'revoked' }, () => `${id} is revoked.`)
  })

  withServerOptions(
    group
      .command('verify <key>')
      .description('what the gate says to a call with this key; exit code 1 when it refuses')
      .option('--permission <name>', 'also ask for this permission'),
  ).action(async (key: string, options: ServerOptions & { readonly permission?: string }) => {
    // The option --key is the caller's own key; the argument is the key in question.
    const path = '/v1/keys/verify'
    const body = given({ key, permission: options.permission })
    const answer = await clientOf(deps, options).json('POST', path, body, { repeatable: true })
    const { valid } = readShape(z.looseObject({ valid: z.boolean() }), answer, path)
    outputOf(deps, options).result(answer, () => renderOne(answer))
    if (!valid) throw new CliFailure('The gate refuses this key.')
  })
}

function readKeyFlags(flags: KeyFlags): Record<string, unknown> {
  return {
    ...given({
      name: flags.name,
      customer: flags.customer,
      subject: flags.subject,
      expiresAt: flags.expiresAt,
    }),
    ...(flags.scope.length === 0 ? {} : { scopes: flags.scope }),
    ...(flags.quota.length === 0 ? {} : { quotas: flags.quota }),
    ...(flags.rate === undefined ? {} : { rate: readRate(flags.rate) }),
  }
}

function readRate(text: string): { requestsPerSecond: number; burst: number } {
  const m = /^(\d{1,9}(?:\.\d{1,6})?):(\d{1,9})$/.exec(text)
  if (m === null) throw wrongUse(`--rate must look like 10:50 (per second, burst); it is "${text}".`)
  return { requestsPerSecond: Number(m[1]), burst: Number(m[2]) }
}

interface QuotaFlags {
  readonly meter?: string
  readonly unit?: string
  readonly limit?: string
  readonly period?: string
  readonly mode?: string
  readonly onUnavailable?: string
  readonly rung: readonly string[]
}

export function addQuotaCommand(program: Command, deps: CliDeps): void {
  const group = program.command('quota').description('limits of usage, and what happens on the way to them')
  addListCommand(group, deps, QUOTA)
  addShowCommand(group, deps, QUOTA)
  addPutCommand(
    group,
    deps,
    QUOTA,
    (command) =>
      command
        .option('--meter <key>', 'what is counted')
        .option('--unit <unit>', 'for people, such as token')
        .option('--limit <quantity>', 'decimal')
        .option('--period <period>', 'hour, day, month, billingPeriod or prepaid')
        .option('--mode <mode>', 'leased or observed')
        .option('--on-unavailable <policy>', 'closed, debt or open')
        .option('--rung <share:action>', 'such as 0.8:notify or 1:suspend; may be given again', collect, []),
    (command) => {
      const { meter, unit, limit, period, mode, onUnavailable, rung } = command.opts<QuotaFlags>()
      const ladder = rung.length === 0 ? undefined : rung.map(readRung)
      return given({ meter, unit, limit, period, mode, onUnavailable, ladder })
    },
  )

  withServerOptions(
    group.command('status <subject>').description('where a subject stands in its quotas'),
  ).action(async (subject: string, options: ServerOptions) => {
    const path = `/v1/subjects/${encodeURIComponent(subject)}/quotas`
    const answer = await clientOf(deps, options).json('GET', path)
    outputOf(deps, options).result(answer, () =>
      renderList(QUOTA_STATE, readShape(z.looseObject({ data: z.array(z.unknown()) }), answer, path).data),
    )
  })
}

function readRung(text: string): { at: string; action: string } {
  const [at, action, ...rest] = text.split(':')
  if (at === undefined || action === undefined || at === '' || action === '' || rest.length > 0) {
    throw wrongUse(`--rung must look like 0.8:notify; it is "${text}".`)
  }
  return { at, action }
}
