import type { Command } from 'commander'
import { clientOf, outputOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { readDocument } from '../document.ts'
import { wrongUse } from '../failure.ts'
import { collect, given } from '../flags.ts'
import { addListCommand, addPutCommand, addShowCommand, renderOne, type ResourceKind } from './resource.ts'

const CUSTOMER: ResourceKind = {
  name: 'customer',
  path: '/v1/customers',
  columns: [
    { member: 'key', header: 'Key' },
    { member: 'name', header: 'Name' },
    { member: 'subjects', header: 'Subjects' },
    { member: 'currency', header: 'Currency' },
    { member: 'timezone', header: 'Zone' },
  ],
}

const SUBSCRIPTION: ResourceKind = {
  name: 'subscription',
  path: '/v1/subscriptions',
  columns: [
    { member: 'id', header: 'Id' },
    { member: 'customer', header: 'Customer' },
    { member: 'plan', header: 'Plan' },
    { member: 'state', header: 'State' },
    { member: 'startsAt', header: 'Starts' },
    { member: 'endsAt', header: 'Ends' },
  ],
}

interface CustomerFlags {
  readonly name?: string
  readonly subject: readonly string[]
  readonly currency?: string
  readonly timezone?: string
  readonly testClock?: string
}

export function addCustomerCommand(program: Command, deps: CliDeps): void {
  const group = program.command('customer').description('who pays, and which subjects are theirs')
  addListCommand(group, deps, CUSTOMER)
  addShowCommand(group, deps, CUSTOMER)
  addPutCommand(
    group,
    deps,
    CUSTOMER,
    (command) =>
      command
        .option('--name <name>', 'for people and invoices')
        .option('--subject <id>', 'a subject of usage events that is theirs; may be given again', collect, [])
        .option('--currency <code>', 'ISO 4217, such as USD')
        .option('--timezone <zone>', 'zone of the billing periods, such as Europe/Berlin')
        .option('--test-clock <id>', 'let the customer live by a test clock'),
    (command) => {
      const { name, currency, timezone, testClock, subject } = command.opts<CustomerFlags>()
      const subjects = subject.length === 0 ? undefined : subject
      return given({ name, subjects, currency, timezone, testClock })
    },
  )
}

interface SubscribeFlags {
  readonly customer?: string
  readonly plan?: string
  readonly startsAt?: string
  readonly anchorDay?: string
  readonly file?: string
}

export function addSubscriptionCommand(program: Command, deps: CliDeps): void {
  const group = program.command('subscription').description('a customer on a plan')
  addListCommand(group, deps, SUBSCRIPTION, [{ name: 'customer', help: 'only of this customer' }])
  addShowCommand(group, deps, SUBSCRIPTION)

  withServerOptions(
    group
      .command('put')
      .alias('create')
      .description('subscribe a customer to a plan')
      .option('-f, --file <file>', 'YAML or JSON with its members; - is stdin')
      .option('--customer <key>', 'who subscribes')
      .option('--plan <key>', 'to which plan')
      .option('--starts-at <instant>', 'RFC 3339')
      .option('--anchor-day <day>', 'day of the month on which periods turn, 1 to 31'),
  ).action(async (options: ServerOptions & SubscribeFlags) => {
    const body = {
      ...(options.file === undefined ? {} : await readDocument(options.file, deps.stdin)),
      ...given({ customer: options.customer, plan: options.plan, startsAt: options.startsAt }),
      ...(options.anchorDay === undefined
        ? {}
        : { anchorDay: wholeNumber('--anchor-day', options.anchorDay) }),
    }
    if (Object.keys(body).length === 0)
      throw wrongUse('Nothing to put: give --customer and --plan, or --file.')
    const answer = await clientOf(deps, options).json('POST', SUBSCRIPTION.path, body, { repeatable: true })
    outputOf(deps, options).result(answer, () => renderOne(answer))
  })

  for (const [step, description] of [
    ['cancel', 'end it'],
    ['pause', 'stop billing for a while'],
    ['resume', 'go on after a pause'],
    ['change', 'move to another plan'],
  ] as const) {
    withServerOptions(
      group
        .command(`${step} <id>`)
        .description(description)
        .option('--at <instant>', 'RFC 3339; what is left out is decided by the server')
        .option('--plan <key>', 'for change: the new plan')
        .option('-f, --file <file>', 'YAML or JSON with the members of the request; - is stdin'),
    ).action(
      async (
        id: string,
        options: ServerOptions & { readonly at?: string; readonly plan?: string; readonly file?: string },
      ) => {
        const body = {
          ...(options.file === undefined ? {} : await readDocument(options.file, deps.stdin)),
          ...given({ at: options.at, plan: options.plan }),
        }
        const path = `${SUBSCRIPTION.path}/${encodeURIComponent(id)}/${step}`
        const answer = await clientOf(deps, options).json('POST', path, body, { repeatable: true })
        outputOf(deps, options).result(answer, () => renderOne(answer))
      },
    )
  }
}

export function wholeNumber(flag: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw wrongUse(`${flag} must be a whole number; it is "${text}".`)
  return Number(text)
}
