import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { nearestName } from './id/nearest-name.ts'

export const ROLES = ['all', 'ingest', 'aggregate', 'provision', 'api', 'invoice', 'gate'] as const
export type Role = (typeof ROLES)[number]

interface SettingBase {
  /** The key in tallyman.yaml, dotted. */
  readonly path: string
  readonly env: string
  readonly help: string
  /** Never printed. */
  readonly secret?: true
}
type Setting = SettingBase &
  (
    | { readonly kind: 'text'; readonly preset: string | null }
    | { readonly kind: 'list'; readonly preset: null }
    | { readonly kind: 'integer'; readonly preset: number | null; readonly min: number; readonly max: number }
    | { readonly kind: 'choice'; readonly preset: string; readonly choices: readonly string[] }
    | { readonly kind: 'switch'; readonly preset: boolean }
  )

/** Every setting there is: its names, its bounds and what it is for. `docs/configuration.md` follows this table. */
export const SETTINGS = [
  {
    path: 'dataDir',
    env: 'TALLYMAN_DATA_DIR',
    kind: 'text',
    preset: './data',
    help: 'Where the embedded engines keep their data.',
  },
  {
    path: 'role',
    env: 'TALLYMAN_ROLE',
    kind: 'choice',
    preset: 'all',
    choices: ROLES,
    help: 'What this process does.',
  },
  {
    path: 'host',
    env: 'TALLYMAN_HOST',
    kind: 'text',
    preset: '127.0.0.1',
    help: 'Address on which the API listens.',
  },
  {
    path: 'port',
    env: 'TALLYMAN_PORT',
    kind: 'integer',
    preset: 8888,
    min: 0,
    max: 65535,
    help: 'Port of the API; 0 takes a free one.',
  },
  {
    path: 'metricsHost',
    env: 'TALLYMAN_METRICS_HOST',
    kind: 'text',
    preset: '127.0.0.1',
    help: 'Address of /metrics and the health checks.',
  },
  {
    path: 'metricsPort',
    env: 'TALLYMAN_METRICS_PORT',
    kind: 'integer',
    preset: 9464,
    min: 0,
    max: 65535,
    help: 'Port of /metrics and the health checks; 0 takes a free one.',
  },
  {
    path: 'logLevel',
    env: 'TALLYMAN_LOG_LEVEL',
    kind: 'choice',
    preset: 'info',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    help: 'The least severe messages that are logged.',
  },
  {
    path: 'kafka.brokers',
    env: 'KAFKA_BROKERS',
    kind: 'list',
    preset: null,
    help: 'host:port, comma separated. Unset: the embedded log.',
  },
  {
    path: 'kafka.clientId',
    env: 'KAFKA_CLIENT_ID',
    kind: 'text',
    preset: 'tallyman',
    help: "Name of this client in the broker's logs and quotas.",
  },
  {
    path: 'kafka.replicationFactor',
    env: 'KAFKA_REPLICATION_FACTOR',
    kind: 'integer',
    preset: 1,
    min: 1,
    max: 9,
    help: 'Replicas of topics that Tallyman creates; 3 in production.',
  },
  {
    path: 'clickhouse.url',
    env: 'CLICKHOUSE_URL',
    kind: 'text',
    preset: null,
    secret: true,
    help: 'http://user:password@host:8123/database. Unset: ClickHouse in this process.',
  },
  {
    path: 'database.url',
    env: 'DATABASE_URL',
    kind: 'text',
    preset: null,
    secret: true,
    help: 'postgresql://… . Unset: an embedded PostgreSQL.',
  },
  {
    path: 'ingest.requestBytesMax',
    env: 'TALLYMAN_INGEST_REQUEST_BYTES_MAX',
    kind: 'integer',
    preset: 5_242_880,
    min: 65_536,
    max: 67_108_864,
    help: 'Largest body of one request, unpacked.',
  },
  {
    path: 'ingest.requestEventsMax',
    env: 'TALLYMAN_INGEST_REQUEST_EVENTS_MAX',
    kind: 'integer',
    preset: 1000,
    min: 1,
    max: 10_000,
    help: 'Most events of one request.',
  },
  {
    path: 'ingest.queueBytesMax',
    env: 'TALLYMAN_INGEST_QUEUE_BYTES_MAX',
    kind: 'integer',
    preset: 67_108_864,
    min: 1_048_576,
    max: 1_073_741_824,
    help: 'Bytes accepted and not yet durable; beyond it requests are answered 503.',
  },
  {
    path: 'deadLetters.days',
    env: 'TALLYMAN_DEAD_LETTERS_DAYS',
    kind: 'integer',
    preset: 30,
    min: 1,
    max: 3650,
    help: 'Days for which rejected events are kept.',
  },
  {
    path: 'deadLetters.bytesMax',
    env: 'TALLYMAN_DEAD_LETTERS_BYTES_MAX',
    kind: 'integer',
    preset: 67_108_864,
    min: 65_536,
    max: 68_719_476_736,
    help: 'Bytes of rejected events that a tenant may have; beyond it the oldest are removed.',
  },
  {
    path: 'aggregate.flushIntervalMs',
    env: 'TALLYMAN_AGGREGATE_FLUSH_INTERVAL_MS',
    kind: 'integer',
    preset: 1000,
    min: 10,
    max: 60_000,
    help: 'Longest time that events wait for their rows to be written.',
  },
  {
    path: 'aggregate.flushRowsMax',
    env: 'TALLYMAN_AGGREGATE_FLUSH_ROWS_MAX',
    kind: 'integer',
    preset: 150_000,
    min: 1000,
    max: 250_000,
    help: 'Rows of one insert.',
  },
  {
    path: 'reconcile.intervalMinutes',
    env: 'TALLYMAN_RECONCILE_INTERVAL_MINUTES',
    kind: 'integer',
    preset: 60,
    min: 0,
    max: 10_080,
    help: 'How often every conservation check runs by itself; 0 leaves it to the command.',
  },
  {
    path: 'backup.directory',
    env: 'TALLYMAN_BACKUP_DIRECTORY',
    kind: 'text',
    preset: null,
    help: 'Where a running server writes backups; `backups` in the data directory where absent.',
  },
  {
    path: 'log.retentionDays',
    env: 'TALLYMAN_LOG_RETENTION_DAYS',
    kind: 'integer',
    preset: 90,
    min: 7,
    max: 36_500,
    help: 'How long the event topic keeps its records.',
  },
  {
    path: 'gate.grpcPort',
    env: 'TALLYMAN_GATE_GRPC_PORT',
    kind: 'integer',
    preset: null,
    min: 1,
    max: 65535,
    help: 'Port of the gate for Envoy: ext_authz and rate limit service over gRPC. Unset: not served.',
  },
  {
    path: 'gate.keyHeader',
    env: 'TALLYMAN_GATE_KEY_HEADER',
    kind: 'text',
    preset: null,
    help: 'Header of requests behind the gate that carries the key. Unset: Authorization: Bearer, else X-Api-Key.',
  },
  {
    path: 'gate.realm',
    env: 'TALLYMAN_GATE_REALM',
    kind: 'text',
    preset: 'api',
    help: 'What WWW-Authenticate calls the API behind the gate.',
  },
  {
    path: 'gate.topUpUrl',
    env: 'TALLYMAN_GATE_TOP_UP_URL',
    kind: 'text',
    preset: null,
    help: 'Where customers buy units: told in answers 402.',
  },
  {
    path: 'gate.upgradeUrl',
    env: 'TALLYMAN_GATE_UPGRADE_URL',
    kind: 'text',
    preset: null,
    help: 'Where customers raise a limit: told in answers 429 of quotas.',
  },
  {
    path: 'seller.name',
    env: 'TALLYMAN_SELLER_NAME',
    kind: 'text',
    preset: 'Your company',
    help: 'Who sends the invoices: printed at their head.',
  },
  {
    path: 'seller.addressLines',
    env: 'TALLYMAN_SELLER_ADDRESS_LINES',
    kind: 'list',
    preset: null,
    help: 'Lines of the address of the seller, comma separated or as a YAML list.',
  },
  {
    path: 'seller.taxId',
    env: 'TALLYMAN_SELLER_TAX_ID',
    kind: 'text',
    preset: null,
    help: 'Tax number of the seller.',
  },
  {
    path: 'seller.email',
    env: 'TALLYMAN_SELLER_EMAIL',
    kind: 'text',
    preset: null,
    help: 'Where customers write about an invoice.',
  },
  {
    path: 'seller.paymentLines',
    env: 'TALLYMAN_SELLER_PAYMENT_LINES',
    kind: 'list',
    preset: null,
    help: 'How to pay, printed at the foot of invoices; comma separated or as a YAML list.',
  },
  {
    path: 'seller.paymentTermsDays',
    env: 'TALLYMAN_SELLER_PAYMENT_TERMS_DAYS',
    kind: 'integer',
    preset: 30,
    min: 0,
    max: 3650,
    help: 'Days from issue to due, for customers without terms of their own.',
  },
  {
    path: 'shutdownSeconds',
    env: 'TALLYMAN_SHUTDOWN_SECONDS',
    kind: 'integer',
    preset: 30,
    min: 1,
    max: 600,
    help: 'Longest time that draining may take at shutdown.',
  },
  {
    path: 'client.url',
    env: 'TALLYMAN_URL',
    kind: 'text',
    preset: 'http://127.0.0.1:8888',
    help: 'For commands that talk to a server: where it is.',
  },
  {
    path: 'client.apiKey',
    env: 'TALLYMAN_API_KEY',
    kind: 'text',
    preset: null,
    secret: true,
    help: 'For commands that talk to a server: the key.',
  },
] as const satisfies readonly Setting[]

/** The whole configuration, every default explicit. Roles are handed the part they need. */
export interface Config {
  readonly dataDir: string
  readonly role: Role
  readonly host: string
  readonly port: number
  readonly metricsHost: string
  readonly metricsPort: number
  readonly logLevel: string
  readonly kafka: {
    readonly brokers: readonly string[] | null
    readonly clientId: string
    readonly replicationFactor: number
  }
  readonly clickhouse: { readonly url: string | null }
  readonly database: { readonly url: string | null }
  readonly ingest: {
    readonly requestBytesMax: number
    readonly requestEventsMax: number
    readonly queueBytesMax: number
  }
  readonly deadLetters: { readonly days: number; readonly bytesMax: number }
  readonly aggregate: { readonly flushIntervalMs: number; readonly flushRowsMax: number }
  readonly reconcile: { readonly intervalMinutes: number }
  readonly backup: { readonly directory: string | null }
  readonly log: { readonly retentionDays: number }
  readonly gate: {
    readonly grpcPort: number | null
    readonly keyHeader: string | null
    readonly realm: string
    readonly topUpUrl: string | null
    readonly upgradeUrl: string | null
  }
  readonly seller: {
    readonly name: string
    readonly addressLines: readonly string[] | null
    readonly taxId: string | null
    readonly email: string | null
    readonly paymentLines: readonly string[] | null
    readonly paymentTermsDays: number
  }
  readonly shutdownSeconds: number
  readonly client: { readonly url: string; readonly apiKey: string | null }
}

export type ConfigOutcome =
  | { readonly kind: 'config'; readonly config: Config; readonly sources: Readonly<Record<string, string>> }
  | { readonly kind: 'faults'; readonly faults: readonly string[] }

type Value = string | number | boolean | readonly string[] | null

function readValue(
  setting: Setting,
  raw: unknown,
  from: string,
): { readonly value: Value } | { readonly fault: string } {
  const shown = setting.secret ? '' : ` (it is ${JSON.stringify(raw)})`
  switch (setting.kind) {
    case 'text':
      return typeof raw === 'string' && raw !== ''
        ? { value: raw }
        : { fault: `${from} must be text${shown}` }
    case 'list': {
      const items = typeof raw === 'string' ? raw.split(',').map((item) => item.trim()) : raw
      const good =
        Array.isArray(items) &&
        items.length > 0 &&
        items.every((item) => typeof item === 'string' && item !== '')
      return good ? { value: items as string[] } : { fault: `${from} must be a comma separated list${shown}` }
    }
    case 'integer': {
      const text = typeof raw === 'number' ? String(raw) : typeof raw === 'string' ? raw.trim() : ''
      const value = Number(text)
      return /^\d+$/.test(text) && value >= setting.min && value <= setting.max
        ? { value }
        : { fault: `${from} must be a whole number from ${setting.min} to ${setting.max}${shown}` }
    }
    case 'choice':
      return typeof raw === 'string' && setting.choices.includes(raw)
        ? { value: raw }
        : { fault: `${from} must be one of ${setting.choices.join(', ')}${shown}` }
    case 'switch':
      if (raw === true || raw === 'true') return { value: true }
      if (raw === false || raw === 'false') return { value: false }
      return { fault: `${from} must be true or false${shown}` }
  }
}

function flatten(node: unknown, prefix: string, into: Map<string, unknown>): void {
  if (typeof node !== 'object' || node === null || Array.isArray(node)) {
    into.set(prefix, node)
    return
  }
  for (const [key, child] of Object.entries(node))
    flatten(child, prefix === '' ? key : `${prefix}.${key}`, into)
}

export interface ConfigInputs {
  /** From the command line, by path; these win over everything. */
  readonly overrides?: Readonly<Record<string, string | number>>
  /** Path of a tallyman.yaml; when absent, ./tallyman.yaml is read if it is there. */
  readonly configFile?: string
  readonly env?: Readonly<Record<string, string | undefined>>
}

/**
 * Command line over environment over file over defaults. All faults are reported at once; an unknown key is a
 * fault that names the nearest known one, for a misspelt limit must not pass as the default.
 */
export function loadConfig(inputs: ConfigInputs = {}): ConfigOutcome {
  const env = inputs.env ?? process.env
  const faults: string[] = []
  const values = new Map<string, Value>(SETTINGS.map((setting) => [setting.path, setting.preset]))
  const sources: Record<string, string> = Object.fromEntries(
    SETTINGS.map((setting) => [setting.path, 'default']),
  )
  const take = (setting: Setting, raw: unknown, from: string, source: string): void => {
    const outcome = readValue(setting, raw, from)
    if ('fault' in outcome) faults.push(outcome.fault)
    else {
      values.set(setting.path, outcome.value)
      sources[setting.path] = source
    }
  }
  readFile(inputs.configFile, faults, take)
  readEnvironment(env, faults, take)
  for (const [path, raw] of Object.entries(inputs.overrides ?? {})) {
    const setting = SETTINGS.find((one) => one.path === path)
    if (setting === undefined) throw new Error(`no setting ${path}`)
    take(setting, raw, `--${path}`, 'command line')
  }
  if (faults.length > 0) return { kind: 'faults', faults }
  const nested: Record<string, unknown> = {}
  for (const [path, value] of values) {
    const [head, tail] = path.split('.') as [string, string | undefined]
    if (tail === undefined) nested[head] = value
    else nested[head] = { ...(nested[head] as object | undefined), [tail]: value }
  }
  return { kind: 'config', config: nested as unknown as Config, sources }
}

type Take = (setting: Setting, raw: unknown, from: string, source: string) => void

function readFile(configFile: string | undefined, faults: string[], take: Take): void {
  const path = configFile ?? 'tallyman.yaml'
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (configFile === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return
    faults.push(`The configuration file ${path} cannot be read: ${(error as Error).message}`)
    return
  }
  let document: unknown
  try {
    document = parseYaml(text)
  } catch (error) {
    faults.push(`The configuration file ${path} is not YAML: ${(error as Error).message}`)
    return
  }
  if (document === null || document === undefined) return
  const found = new Map<string, unknown>()
  flatten(document, '', found)
  for (const [key, raw] of found) {
    const setting = SETTINGS.find((one) => one.path === key)
    if (setting === undefined) {
      const known = SETTINGS.map((one) => one.path)
      faults.push(`${path}: unknown key "${key}". Did you mean "${nearestName(key, known)}"?`)
    } else take(setting, raw, `${path}: ${key}`, path)
  }
}

function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  faults: string[],
  take: Take,
): void {
  const names = new Set(SETTINGS.flatMap((setting) => [setting.env, `${setting.env}_FILE`] as string[]))
  for (const name of Object.keys(env)) {
    if (!name.startsWith('TALLYMAN_') || names.has(name)) continue
    faults.push(`Unknown environment variable ${name}. Did you mean ${nearestName(name, [...names])}?`)
  }
  for (const setting of SETTINGS) {
    const direct = env[setting.env]
    const file = env[`${setting.env}_FILE`]
    if (direct !== undefined && file !== undefined) {
      faults.push(`Both ${setting.env} and ${setting.env}_FILE are set; set one of them.`)
    } else if (direct !== undefined) take(setting, direct, setting.env, `environment ${setting.env}`)
    else if (file !== undefined) {
      try {
        take(setting, readFileSync(file, 'utf8').trim(), `${setting.env}_FILE`, `file ${file}`)
      } catch (error) {
        faults.push(`${setting.env}_FILE cannot be read: ${(error as Error).message}`)
      }
    }
  }
}

/** The configuration as it is in force, for people: secrets masked, each value with where it came from. */
export function describeConfig(
  config: Config,
  sources: Readonly<Record<string, string>>,
): readonly {
  readonly key: string
  readonly value: string
  readonly source: string
  readonly help: string
}[] {
  const found = new Map<string, unknown>()
  flatten(config, '', found)
  return SETTINGS.map((setting: Setting) => {
    const value = found.get(setting.path)
    const text =
      value === null || value === undefined
        ? '(unset)'
        : Array.isArray(value)
          ? value.join(',')
          : JSON.stringify(value)
    return {
      key: setting.path,
      value: setting.secret && value !== null ? '(set, not shown)' : text,
      source: sources[setting.path] ?? 'default',
      help: setting.help,
    }
  })
}
