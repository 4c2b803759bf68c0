import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { type CommonOptions, configOf, outputOf, withCommonOptions } from '../context.ts'
import { runDemo } from '../demo/run.ts'
import type { CliDeps } from '../deps.ts'

interface DemoFlags extends CommonOptions {
  readonly data?: string
  readonly trace?: string
  readonly out?: string
  readonly keep?: true
  readonly port?: string
  readonly metricsPort?: string
}

const DEFAULT_TRACE = fileURLToPath(
  new URL('../../../examples/azure-llm-inference-2023-code.csv', import.meta.url),
)

export function addDemoCommand(program: Command, deps: CliDeps): void {
  withCommonOptions(
    program
      .command('demo')
      .description(
        'from real usage events to a closed invoice, on engines of its own, through the public API',
      )
      .option('--data <dir>', 'data directory (default: a temporary one, removed at the end)')
      .option('--trace <csv>', 'usage to send: a CSV file with TIMESTAMP,ContextTokens,GeneratedTokens')
      .option('--out <dir>', 'where the invoice is written as PDF and CSV (default: beside the data)')
      .option('--port <n>', 'port of the API (default: a free one)')
      .option('--metrics-port <n>', 'port of /metrics (default: a free one)')
      .option('--keep', 'leave the server running at the end, until Ctrl-C'),
  ).action(async (flags: DemoFlags) => {
    await runDemo(deps, outputOf(deps, flags), {
      tracePath: flags.trace ?? DEFAULT_TRACE,
      dataDirectory: flags.data ?? null,
      outDirectory: flags.out ?? null,
      keep: flags.keep === true,
      startSystem: (dataDirectory, onProgress) => {
        const { config } = configOf(deps, flags, {
          dataDir: dataDirectory,
          role: 'all',
          port: flags.port ?? '0',
          metricsPort: flags.metricsPort ?? '0',
        })
        const servers = [
          ...(config.kafka.brokers === null ? [] : [`Kafka at ${config.kafka.brokers.join(',')}`]),
          ...(config.clickhouse.url === null ? [] : ['ClickHouse at CLICKHOUSE_URL']),
          ...(config.database.url === null ? [] : ['PostgreSQL at DATABASE_URL']),
        ]
        if (servers.length > 0) onProgress(`as configured, on ${servers.join(', ')}`)
        // What the engines have to say is for servers; the demo tells its own story.
        return deps.startSystem({ ...config, logLevel: 'warn' }, { onProgress })
      },
    })
  })
}
