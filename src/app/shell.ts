import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Registry } from 'prom-client'
import type { Config } from '../config.ts'
import { type HealthCheck, type HealthServer, startHealthServer } from '../telemetry/health-server.ts'
import { createLogger, type Logger } from '../telemetry/logger.ts'
import { createRegistry } from '../telemetry/registry.ts'
import type { Clock } from '../time/clock.ts'
import { instantOf } from '../time/instant.ts'
import { Closing } from './closing.ts'
import { prepareDataDirectory } from './data-directory.ts'
import { repeat } from './repeat.ts'
import { listenFailure } from './start-failure.ts'

/** What every role stands in: its settings, its clock, where it logs and is watched, and how it ends. */
export interface Shell {
  readonly config: Config
  /** Of this program. */
  readonly version: string
  readonly dataDirectory: string
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly closing: Closing
  readonly health: HealthServer
  /** Names this process among those that run at the same time. */
  readonly instance: string
  /** Tells of the steps of the start. */
  readonly onProgress: (text: string) => void
  /** A fault after which this process is of no use: it is not ready any more, and whoever started it ends it. */
  readonly onFatal: (error: Error) => void
  /** A fault of one round of something that goes on. */
  readonly onFault: (what: string, error: unknown) => void
  /** Adds a condition of being ready, probed in the background. */
  readonly watch: (name: string, probe: () => Promise<unknown>) => void
  /** Rejects when `onFatal` was told. */
  readonly failed: Promise<never>
}

const PROBE_PAUSE_MS = 2000

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly version: string
}

/** @throws StartFailure when the data directory cannot be used or the port of the metrics is taken */
export async function openShell(config: Config, onProgress: (text: string) => void): Promise<Shell> {
  const dataDirectory = prepareDataDirectory(config.dataDir)
  const logger = createLogger(config.logLevel, { role: config.role })
  const registry = createRegistry({ version: manifest.version, role: config.role })
  const checks: HealthCheck[] = []
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => undefined) // whoever awaits it is told; nobody has to
  let fatal: string | null = null
  checks.push({ name: 'noFatalFault', probe: () => fatal })
  const onFault = (what: string, error: unknown): void => logger.error({ err: error, what }, `${what} failed`)
  const closing = new Closing((step, error) => onFault(`stopping: ${step}`, error))
  const health = await startHealthServer({
    host: config.metricsHost,
    port: config.metricsPort,
    registry,
    checks,
  }).catch((error: unknown) => {
    if (!(error instanceof Error)) throw error
    throw listenFailure(
      'metrics',
      config.metricsHost,
      config.metricsPort,
      'TALLYMAN_METRICS_PORT or --metrics-port',
      error,
    )
  })
  closing.add('metrics', () => health.stop())
  return {
    config,
    version: manifest.version,
    dataDirectory,
    clock: { now: () => instantOf(Date.now()) },
    logger,
    registry,
    closing,
    health,
    instance: randomBytes(6).toString('hex'),
    onProgress,
    onFatal: (error) => {
      if (fatal !== null) return
      fatal = error.message
      logger.error({ err: error }, 'a fault that this process cannot mend; it ends')
      failed.reject(error)
    },
    onFault,
    watch: (name, probe) => {
      let fault: string | null = null
      checks.push({ name, probe: () => fault })
      const stop = repeat(
        PROBE_PAUSE_MS,
        async () => {
          await probe()
          fault = null
        },
        (error) => {
          fault = error instanceof Error ? error.message : String(error)
        },
      )
      closing.add(`watch of ${name}`, stop)
    },
    failed: failed.promise,
  }
}
