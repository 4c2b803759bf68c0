import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const JAVA = 'java'
const READY = 'Kafka Server started'
const START_MS_MAX = 60_000
/** What is kept of the broker's own log, to be shown when it does not start. */
const LOG_CHARS_MAX = 20_000

export interface NodePorts {
  readonly id: number
  readonly client: number
  readonly controller: number
  /** A second listener, which tells clients to come through a proxy. */
  readonly proxied: number
}

export interface NodeOptions {
  readonly classPath: string
  readonly directory: string
  readonly clusterId: string
  readonly ports: NodePorts
  /** All nodes of the cluster, this one included. */
  readonly cluster: readonly NodePorts[]
  /** The port that clients of the second listener are told. */
  readonly advertisedProxyPort: number | null
  readonly settings: Readonly<Record<string, string>>
}

/** One broker in a process of its own, on fixed ports and data, so that it can die and come back. */
export class KafkaNode {
  readonly #options: NodeOptions
  readonly #properties: string
  #child: ChildProcess | null = null

  private constructor(options: NodeOptions) {
    this.#options = options
    this.#properties = join(options.directory, 'server.properties')
  }

  static async format(options: NodeOptions): Promise<KafkaNode> {
    mkdirSync(options.directory, { recursive: true })
    const node = new KafkaNode(options)
    writeFileSync(node.#properties, properties(options))
    const { classPath, clusterId } = options
    await run(JAVA, [
      '-cp',
      classPath,
      'kafka.tools.StorageTool',
      'format',
      '-t',
      clusterId,
      '-c',
      node.#properties,
    ])
    return node
  }

  get ports(): NodePorts {
    return this.#options.ports
  }

  /** Starts the broker on its data; resolves when it serves clients. */
  async start(): Promise<void> {
    const child = spawn(
      JAVA,
      [
        '-Xms128m',
        '-Xmx512m',
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        '-Dlog4j2.level=INFO',
        '-cp',
        this.#options.classPath,
        'kafka.Kafka',
        this.#properties,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.#options.directory },
    )
    this.#child = child
    endWithThisProcess(child)
    await ready(child)
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async kill9(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** The process stands still, its connections stay: what a long pause of the machine looks like. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === null) return
    this.#child = null
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill(signal)
    await exited
  }
}

/** A test run that is killed ends its brokers too: a shell waits for the end of a pipe that only this process holds. */
function endWithThisProcess(child: ChildProcess): void {
  const guard = spawn('sh', ['-c', 'read -r line; kill -9 "$0"', String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.once('exit', () => guard.kill('SIGKILL'))
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    const fail = (what: string): void => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      reject(new Error(`${what}:\n${log}`))
    }
    const timer = setTimeout(() => fail(`Kafka was not ready within ${START_MS_MAX} ms`), START_MS_MAX)
    const onExit = (): void => fail('Kafka ended before it was ready')
    child.once('exit', onExit)
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        log = (log + text).slice(-LOG_CHARS_MAX)
        if (!log.includes(READY)) return
        clearTimeout(timer)
        child.off('exit', onExit)
        resolve()
      })
    }
  })
}

function properties(options: NodeOptions): string {
  const { ports, cluster, directory, advertisedProxyPort } = options
  const at = (port: number): string => `127.0.0.1:${port}`
  const replicas = String(Math.min(3, cluster.length))
  const settings: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': String(ports.id),
    'controller.quorum.voters': cluster.map(({ id, controller }) => `${id}@${at(controller)}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAIN',
    'listener.security.protocol.map': 'PLAIN:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT',
    listeners: `PLAIN://${at(ports.client)},PROXIED://${at(ports.proxied)},CONTROLLER://${at(ports.controller)}`,
    'advertised.listeners': `PLAIN://${at(ports.client)},PROXIED://${at(advertisedProxyPort ?? ports.proxied)}`,
    'log.dirs': join(directory, 'data'),
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // A broker that was killed may register again only after its session has ended; 9 s by default.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    'auto.create.topics.enable': 'true',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'log.cleaner.dedupe.buffer.size': '4194304',
    ...options.settings,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** Ports that nothing listened on a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<{ readonly port: number; readonly close: () => Promise<void> }>((resolve, reject) => {
          const server = createServer()
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            if (address === null || typeof address === 'string') throw new Error('no port')
            resolve({
              port: address.port,
              close: () => new Promise((closed) => server.close(() => closed())),
            })
          })
        }),
    ),
  )
  await Promise.all(servers.map((server) => server.close()))
  return servers.map((server) => server.port)
}
