import type { Command } from 'commander'
import { readShape } from '../api-client.ts'
import {
  clientOf,
  type CommonOptions,
  configOf,
  outputOf,
  type ServerOptions,
  withCommonOptions,
  withServerOptions,
} from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure } from '../failure.ts'
import { renderTable } from '../output.ts'
import { RECONCILE_PATH, reconcileShape, renderReconciliation } from '../reconcile-text.ts'

export function addReconcileCommand(program: Command, deps: CliDeps): void {
  withServerOptions(
    program
      .command('reconcile')
      .description('run every conservation check now; exit code 1 on any mismatch')
      .option('--fix-rollups', 'recompute the rollups that differ from the events'),
  ).action(async (options: ServerOptions & { readonly fixRollups?: true }) => {
    const answer = await clientOf(deps, options).json(
      'POST',
      RECONCILE_PATH,
      options.fixRollups === true ? { fixRollups: true } : {},
      { repeatable: true },
    )
    const reconciliation = readShape(reconcileShape, answer, RECONCILE_PATH)
    outputOf(deps, options).result(reconciliation, () => renderReconciliation(reconciliation))
    if (!reconciliation.ok) throw new CliFailure('The reconciliation found a mismatch.')
  })
}

export function addDoctorCommand(program: Command, deps: CliDeps): void {
  withCommonOptions(
    program
      .command('doctor')
      .description('what is reachable, which versions, which settings are unsafe; exit code 1 on a failure')
      .option('--data <dir>', 'data directory (default: ./data)'),
  ).action(async (options: CommonOptions & { readonly data?: string }) => {
    const { config } = configOf(deps, options, { dataDir: options.data })
    const checks = await deps.doctor(config)
    const failed = checks.filter((check) => check.status === 'failed')
    outputOf(deps, options).result({ ok: failed.length === 0, checks }, () =>
      renderTable(
        [{ header: '' }, { header: 'Check' }, { header: 'Found' }],
        checks.map((check) => [check.status, check.name, check.detail]),
      ),
    )
    if (failed.length > 0) throw new CliFailure(`${failed.length} checks failed.`)
  })
}
