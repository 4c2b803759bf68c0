import type { Command } from 'commander'
import { ROLES } from '../../config.ts'
import { type CommonOptions, configOf, outputOf, whileRunning, withCommonOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'

interface StartOptions extends CommonOptions {
  readonly data?: string
  readonly port?: string
  readonly metricsPort?: string
  readonly role?: string
}

export function addStartCommand(program: Command, deps: CliDeps): void {
  withCommonOptions(
    program
      .command('start')
      .description(
        'run the server; without addresses of Kafka, ClickHouse and PostgreSQL on embedded engines',
      )
      .option('--data <dir>', 'where the embedded engines keep their data (default: ./data)')
      .option('--port <n>', 'port of the API; 0 takes a free one (default: 8888)')
      .option('--metrics-port <n>', 'port of /metrics and the health checks (default: 9464)')
      .option('--role <role>', `what this process does: ${ROLES.join(', ')} (default: all)`),
  ).action(async (options: StartOptions) => {
    const output = outputOf(deps, options)
    const { config } = configOf(deps, options, {
      dataDir: options.data,
      port: options.port,
      metricsPort: options.metricsPort,
      role: options.role,
    })
    const system = await deps.startSystem(config, { onProgress: (text) => output.warn(text) })
    try {
      output.line(
        { apiUrl: system.apiUrl, metricsUrl: system.metricsUrl, role: config.role, dataDir: config.dataDir },
        () =>
          `tallyman is ready: API ${system.apiUrl}, metrics ${system.metricsUrl}/metrics, role ${config.role}, data ${config.dataDir}`,
      )
      await whileRunning(deps, system)
      output.warn('stopping')
    } finally {
      await system.stop()
    }
  })
}
