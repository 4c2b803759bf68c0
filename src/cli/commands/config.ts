import type { Command } from 'commander'
import { type CommonOptions, configOf, outputOf, withCommonOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { renderTable } from '../output.ts'

export function addConfigCommand(program: Command, deps: CliDeps): void {
  const group = program.command('config').description('the configuration as it is in force')

  withCommonOptions(
    group.command('check').description('say whether file and environment are understood'),
  ).action((options: CommonOptions) => {
    const { sources } = configOf(deps, options)
    const set = Object.entries(sources).filter(([, source]) => source !== 'default')
    outputOf(deps, options).result(
      { ok: true, set: Object.fromEntries(set) },
      () => `The configuration is good; ${set.length} settings differ from their defaults.`,
    )
  })

  withCommonOptions(
    group
      .command('print')
      .description('every setting, its value, and where it came from; secrets are not shown'),
  ).action((options: CommonOptions) => {
    const { config, sources } = configOf(deps, options)
    const settings = deps.describeConfig(config, sources)
    outputOf(deps, options).result({ settings }, () =>
      renderTable(
        [{ header: 'Setting' }, { header: 'Value' }, { header: 'From' }],
        settings.map((setting) => [setting.key, setting.value, setting.source]),
      ),
    )
  })
}
