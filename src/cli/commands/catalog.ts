import type { Command } from 'commander'
import type { CliDeps } from '../deps.ts'
import { collect, given, readPairs } from '../flags.ts'
import { addPlanFileCommands } from './plan.ts'
import { addListCommand, addPutCommand, addShowCommand, type ResourceKind } from './resource.ts'

const METER: ResourceKind = {
  name: 'meter',
  path: '/v1/meters',
  columns: [
    { member: 'key', header: 'Key' },
    { member: 'name', header: 'Name' },
    { member: 'eventType', header: 'Event type' },
    { member: 'aggregation', header: 'Aggregation' },
    { member: 'valueProperty', header: 'Of' },
    { member: 'groupBy', header: 'Dimensions' },
  ],
}

const PLAN: ResourceKind = {
  name: 'plan',
  path: '/v1/plans',
  columns: [
    { member: 'key', header: 'Key' },
    { member: 'version', header: 'Version', align: 'right' },
    { member: 'name', header: 'Name' },
    { member: 'currency', header: 'Currency' },
    { member: 'interval', header: 'Interval' },
  ],
}

interface MeterFlags {
  readonly name?: string
  readonly eventType?: string
  readonly aggregation?: string
  readonly valueProperty?: string
  readonly percentile?: string
  readonly groupBy: readonly string[]
  readonly filter: readonly string[]
}

export function addMeterCommand(program: Command, deps: CliDeps): void {
  const group = program.command('meter').description('rules that turn events into quantities')
  addListCommand(group, deps, METER)
  addShowCommand(group, deps, METER)
  addPutCommand(
    group,
    deps,
    METER,
    (command) =>
      command
        .option('--name <name>', 'for people')
        .option('--event-type <type>', 'type of the events that count')
        .option(
          '--aggregation <how>',
          'sum, count, uniqueCount, min, max, avg, latest, percentile, timeWeighted',
        )
        .option('--value-property <path>', 'property that is aggregated; none for count')
        .option('--percentile <share>', 'between 0 and 1, for percentile')
        .option('--group-by <name=path>', 'a dimension; may be given again', collect, [])
        .option('--filter <path=value>', 'only events with this value; may be given again', collect, []),
    (command) => readMeter(command.opts<MeterFlags>()),
  )
}

function readMeter(flags: MeterFlags): Record<string, unknown> {
  return {
    ...given({
      name: flags.name,
      eventType: flags.eventType,
      aggregation: flags.aggregation,
      valueProperty: flags.valueProperty,
      percentile: flags.percentile,
    }),
    ...(flags.groupBy.length === 0 ? {} : { groupBy: readPairs('--group-by', flags.groupBy) }),
    ...(flags.filter.length === 0 ? {} : { filters: readFilters(flags.filter) }),
  }
}

function readFilters(filters: readonly string[]): Record<string, string[]> {
  const read: Record<string, string[]> = {}
  for (const filter of filters) {
    for (const [path, value] of Object.entries(readPairs('--filter', [filter]))) {
      read[path] = [...(read[path] ?? []), value]
    }
  }
  return read
}

interface PlanFlags {
  readonly name?: string
  readonly currency?: string
  readonly interval?: string
}

export function addPlanCommand(program: Command, deps: CliDeps): void {
  const group = program.command('plan').description('prices; a change makes a new version')
  addListCommand(group, deps, PLAN)
  addShowCommand(group, deps, PLAN)
  addPutCommand(
    group,
    deps,
    PLAN,
    (command) =>
      command
        .option('--name <name>', 'for people')
        .option('--currency <code>', 'ISO 4217, such as USD')
        .option('--interval <interval>', 'day, week, month, quarter or year')
        .addHelpText('after', '\nPrices come from the file: see examples/plan.yaml and docs/cli.md.'),
    (command) => {
      const { name, currency, interval } = command.opts<PlanFlags>()
      return given({ name, currency, interval })
    },
  )
  addPlanFileCommands(group, deps)
}
