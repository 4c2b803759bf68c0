import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaClassPath } from './kafka-jars.ts'
import { freePorts, KafkaNode, type NodePorts } from './kafka-node.ts'

export interface KafkaOptions {
  /** Brokers of the cluster. */
  readonly nodes?: number
  /** Broker settings over the defaults of `kafka-node.ts`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Where the proxy of `fault-proxy.ts` listens; its clients are told to come back to it. One broker only. */
  readonly proxyPort?: number
}

/** A running Kafka. What dies and comes back does so on the same ports and data. */
export interface Kafka {
  readonly brokers: readonly string[]
  /** The listener behind the proxy. */
  readonly proxiedPort: number
  readonly nodes: readonly KafkaNode[]
  stop(): Promise<void>
  kill9(): Promise<void>
  /** After `kill9`, or by itself: an orderly stop first. */
  restart(): Promise<void>
}

/**
 * Apache Kafka 4.3.1 in KRaft mode from its own jars, on random loopback ports and a directory of its own. With
 * KAFKA_BROKERS set, and where a test asks for nothing that only an own broker can do, that cluster instead.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const given = process.env['KAFKA_BROKERS']
  const needsOwn = Object.keys(options).length > 0
  if (given !== undefined && given !== '' && !needsOwn) return external(given.split(','))
  const classPath = await kafkaClassPath()
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-kafka-'))
  const count = options.nodes ?? 1
  const ports = await freePorts(count * 3)
  const cluster: NodePorts[] = Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    client: ports[i * 3] ?? 0,
    controller: ports[i * 3 + 1] ?? 0,
    proxied: ports[i * 3 + 2] ?? 0,
  }))
  const clusterId = randomClusterId()
  const nodes: KafkaNode[] = []
  const all = async (act: (node: KafkaNode) => Promise<void>): Promise<void> => {
    await Promise.all(nodes.map(act))
  }
  try {
    for (const node of cluster) {
      nodes.push(
        await KafkaNode.format({
          classPath,
          directory: join(directory, String(node.id)),
          clusterId,
          ports: node,
          cluster,
          advertisedProxyPort: options.proxyPort ?? null,
          settings: options.settings ?? {},
        }),
      )
    }
    await all((node) => node.start())
  } catch (error) {
    await all((node) => node.kill9())
    rmSync(directory, { recursive: true, force: true })
    throw error
  }
  return {
    brokers: cluster.map(({ client }) => `127.0.0.1:${client}`),
    proxiedPort: cluster[0]?.proxied ?? 0,
    nodes,
    async stop() {
      // The data goes with the broker, so there is nothing to be written in order.
      await all((node) => node.kill9())
      rmSync(directory, { recursive: true, force: true })
    },
    kill9: () => all((node) => node.kill9()),
    async restart() {
      await all((node) => node.stop())
      await all((node) => node.start())
    },
  }
}

/** 16 bytes in base64url. One that begins with a hyphen would be taken for an option. */
function randomClusterId(): string {
  const bytes = randomBytes(16)
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0)
  return bytes.toString('base64url')
}

function external(brokers: readonly string[]): Kafka {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new Error('KAFKA_BROKERS names a cluster that is not ours to stop: unset it to run this test'),
    )
  return {
    brokers,
    proxiedPort: 0,
    nodes: [],
    stop: () => Promise.resolve(),
    kill9: refuse,
    restart: refuse,
  }
}
