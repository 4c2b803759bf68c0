import type { Command } from 'commander'
import type { Config } from '../../config.ts'
import { type CommonOptions, configOf, outputOf, withCommonOptions } from '../context.ts'
import type { CliDeps, Migration } from '../deps.ts'
import { renderTable } from '../output.ts'

interface MigrateOptions extends CommonOptions {
  readonly data?: string
}

export function addMigrateCommand(program: Command, deps: CliDeps): void {
  const group = program.command('migrate').description('the schemas of PostgreSQL and ClickHouse')
  const define = (
    name: string,
    description: string,
    run: (config: Config) => Promise<readonly Migration[]>,
    empty: string,
  ): void => {
    withCommonOptions(
      group.command(name).description(description).option('--data <dir>', 'data directory (default: ./data)'),
    ).action(async (options: MigrateOptions) => {
      const { config } = configOf(deps, options, { dataDir: options.data })
      const migrations = await run(config)
      outputOf(deps, options).result({ migrations }, () =>
        migrations.length === 0
          ? empty
          : renderTable(
              [{ header: 'Store' }, { header: 'Migration' }, { header: 'Applied' }],
              migrations.map((one) => [one.store, one.name, one.appliedAt ?? 'pending']),
            ),
      )
    })
  }
  define('up', 'apply what is pending', deps.migrate, 'Nothing was pending.')
  define(
    'status',
    'which migrations are applied and which are pending',
    deps.migrationStatus,
    'There are no migrations.',
  )
}
