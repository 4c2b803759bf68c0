import { Command, CommanderError } from 'commander'
import { StartFailure } from '../app/start-failure.ts'
import { addBackupCommand, addRestoreCommand } from './commands/backup.ts'
import { addMeterCommand, addPlanCommand } from './commands/catalog.ts'
import { addConfigCommand } from './commands/config.ts'
import { addCustomerCommand, addSubscriptionCommand } from './commands/customer.ts'
import { addDemoCommand } from './commands/demo.ts'
import { addDlqCommand } from './commands/dlq.ts'
import { addEventsCommand } from './commands/events.ts'
import { addKeyCommand, addQuotaCommand } from './commands/gate.ts'
import { addInvoiceCommand } from './commands/invoice.ts'
import { addMigrateCommand } from './commands/migrate.ts'
import { addDoctorCommand, addReconcileCommand } from './commands/operations.ts'
import { addRateCommand } from './commands/rate.ts'
import { addReplayCommand } from './commands/rebuild.ts'
import { addStartCommand } from './commands/start.ts'
import { addUsageCommand } from './commands/usage.ts'
import type { CliDeps } from './deps.ts'
import { CliFailure, EXIT_FAILED, EXIT_WRONG_USE } from './failure.ts'

/** Every command of `tallyman`. Contracts: docs/cli.md. */
export function buildProgram(deps: CliDeps, version: string): Command {
  const program = new Command('tallyman')
    .description('Usage metering, rating, invoicing and the gate.')
    .version(version)
    .configureOutput({
      writeOut: (text) => void deps.stdout.write(text),
      writeErr: (text) => void deps.stderr.write(text),
    })
    .exitOverride()
    .showHelpAfterError('(--help says more)')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 the command or a check failed, 2 wrong use.\nEvery command has --help and --json. Start with: tallyman demo',
    )
  const add = [
    addStartCommand,
    addDemoCommand,
    addEventsCommand,
    addDlqCommand,
    addRateCommand,
    addUsageCommand,
    addInvoiceCommand,
    addMeterCommand,
    addPlanCommand,
    addCustomerCommand,
    addSubscriptionCommand,
    addKeyCommand,
    addQuotaCommand,
    addReconcileCommand,
    addReplayCommand,
    addBackupCommand,
    addRestoreCommand,
    addDoctorCommand,
    addConfigCommand,
    addMigrateCommand,
  ]
  for (const addTo of add) addTo(program, deps)
  return program
}

/** Runs one command line. Resolves to the exit code; an expected end is told in a sentence, a fault of ours with its stack. */
export async function runCli(argv: readonly string[], deps: CliDeps, version: string): Promise<number> {
  try {
    await buildProgram(deps, version).parseAsync(argv, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? 0 : EXIT_WRONG_USE
    }
    const tell = (line: string): void => void deps.stderr.write(`${line}\n`)
    if (error instanceof CliFailure) {
      tell(`tallyman: ${error.message}`)
      for (const detail of error.details) tell(`  ${detail}`)
      return error.exitCode
    }
    if (error instanceof StartFailure) {
      tell(`tallyman: ${error.message}`)
      return EXIT_FAILED
    }
    tell('tallyman: a fault of ours; please report it with what stands below.')
    tell(error instanceof Error ? (error.stack ?? error.message) : String(error))
    return EXIT_FAILED
  }
}
