import type { Command } from 'commander'
import type { CliDeps } from '../deps.ts'
import { CliFailure } from '../failure.ts'

export function addRateCommand(program: Command, deps: CliDeps): void {
  program
    .command('rate')
    .description('rate requests: NDJSON on stdin, NDJSON on stdout, in the same order; needs no server')
    .option('--json', 'the output is NDJSON in any case')
    .addHelpText(
      'after',
      '\nOne request a line: {"id","currency","quantity","price":{"model":…},"discounts"?,"minimum"?,"maximum"?}' +
        '\nExample: echo \'{"id":"1","currency":"USD","quantity":"1500","price":{"model":"unit","unitAmount":"0.002"}}\' | tallyman rate',
    )
    .action(async () => {
      const exitCode = await deps.runRate({
        input: deps.stdin,
        output: deps.stdout,
        errorOutput: deps.stderr,
      })
      if (exitCode !== 0) throw new CliFailure('Some requests could not be rated.')
    })
}
