import { closedError, unknownTopic } from '../faults.ts'
import { type BrokerAddress, BrokerConnection } from './broker-connection.ts'
import { brokerFault, KafkaFault } from './kafka-fault.ts'
import type { KafkaApi, KafkaProtocol } from './protocol.ts'
import { askAgain } from './retrying.ts'
import type { KafkaLogSettings } from './settings.ts'

const UNKNOWN_TOPIC = 3

export interface ClusterOptions {
  /** host:port of some of the brokers; the rest is learnt from them. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly settings: KafkaLogSettings
}

export type ClusterMetadata = KafkaProtocol['Metadata']['result']

/** Who leads what, and the connections to them. Connections are kept by broker and purpose, and opened anew when they end. */
export class Cluster {
  readonly settings: KafkaLogSettings
  readonly #options: ClusterOptions
  readonly #connections = new Map<string, Promise<BrokerConnection>>()
  readonly #addresses = new Map<number, BrokerAddress>()
  /** Leader by partition; -1 where there is none at the moment. */
  readonly #leaders = new Map<string, readonly number[]>()
  readonly #asking = new Map<string, Promise<readonly number[]>>()
  #isClosed = false

  constructor(options: ClusterOptions) {
    this.#options = options
    this.settings = options.settings
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** How many partitions the topic has. @throws LogError `unknownTopic`, `unavailable`, `closed` */
  async partitions(topic: string): Promise<number> {
    return (await this.#leadersOf(topic)).length
  }

  /** @throws KafkaFault when the partition has no leader now; LogError as `partitions` */
  async leader(topic: string, partition: number): Promise<number> {
    const leader = (await this.#leadersOf(topic))[partition]
    if (leader !== undefined && leader >= 0) return leader
    this.forget(topic)
    throw new KafkaFault(`${topic} partition ${partition} has no leader`, { isInDoubt: false })
  }

  /** The next question for a leader of the topic asks the cluster. */
  forget(topic: string): void {
    this.#leaders.delete(topic)
  }

  /** @throws KafkaFault when the broker cannot be reached */
  async connection(nodeId: number, purpose: string): Promise<BrokerConnection> {
    const address = this.#addresses.get(nodeId)
    if (address === undefined) throw new KafkaFault(`broker ${nodeId} is not known`, { isInDoubt: false })
    return this.#open(`${nodeId} ${purpose}`, address)
  }

  /** Closes the connections of one purpose: what waits on them fails at once. */
  drop(purpose: string): void {
    for (const [key, opening] of this.#connections) {
      if (!key.endsWith(` ${purpose}`)) continue
      this.#connections.delete(key)
      opening.then(
        (connection) => connection.close(),
        () => undefined, // it was never open, and whoever wanted it was told
      )
    }
  }

  /** Asks whichever broker answers. @throws KafkaFault when none does */
  async askAny<Api extends KafkaApi>(
    api: Api,
    params: KafkaProtocol[Api]['params'],
  ): Promise<KafkaProtocol[Api]['result']> {
    const known = [...this.#addresses].map(([nodeId, address]) => ({ key: `${nodeId} control`, address }))
    const seeds = this.#options.brokers.map((broker) => ({
      key: `${broker} control`,
      address: addressOf(broker),
    }))
    const faults: string[] = []
    for (const { key, address } of [...known, ...seeds]) {
      try {
        return await (await this.#open(key, address)).call(api, params)
      } catch (error) {
        if (!(error instanceof KafkaFault)) throw error
        faults.push(error.message)
      }
    }
    throw new KafkaFault(`no broker answers (${[...new Set(faults)].join('; ')})`, { isInDoubt: true })
  }

  async metadata(topics: readonly string[]): Promise<ClusterMetadata> {
    const metadata = await this.askAny('Metadata', { topics, allowAutoTopicCreation: false })
    for (const { nodeId, host, port } of metadata.brokers) this.#addresses.set(nodeId, { host, port })
    return metadata
  }

  close(): void {
    this.#isClosed = true
    for (const opening of this.#connections.values()) {
      opening.then(
        (connection) => connection.close(),
        () => undefined, // it was never open, and whoever wanted it was told
      )
    }
    this.#connections.clear()
  }

  async #leadersOf(topic: string): Promise<readonly number[]> {
    if (this.#isClosed) throw closedError()
    const known = this.#leaders.get(topic)
    if (known !== undefined) return known
    const asking =
      this.#asking.get(topic) ??
      this.#askLeaders(topic).finally(() => {
        this.#asking.delete(topic)
      })
    this.#asking.set(topic, asking)
    return asking
  }

  async #askLeaders(topic: string): Promise<readonly number[]> {
    const found = await askAgain(`finding ${topic}`, this.settings.appendRetryMsMax, async () => {
      const { topicMetadata } = await this.metadata([topic])
      const described = topicMetadata.find((each) => each.topic === topic)
      const errorCode = described?.topicErrorCode ?? UNKNOWN_TOPIC
      if (errorCode === UNKNOWN_TOPIC) throw unknownTopic(topic)
      if (errorCode !== 0) throw brokerFault(topic, errorCode)
      return described?.partitionMetadata ?? []
    })
    const leaders = Array.from({ length: found.length }, () => -1)
    for (const { partitionId, partitionErrorCode, leader } of found) {
      leaders[partitionId] = partitionErrorCode === 0 || partitionErrorCode === 9 ? leader : -1
    }
    this.#leaders.set(topic, leaders)
    return leaders
  }

  async #open(key: string, address: BrokerAddress): Promise<BrokerConnection> {
    for (;;) {
      if (this.#isClosed) throw closedError()
      const known = this.#connections.get(key)
      if (known !== undefined) {
        const connection = await known
        if (connection.isOpen) return connection
        if (this.#connections.get(key) === known) this.#connections.delete(key)
        continue
      }
      const { clientId } = this.#options
      const { connectMsMax, requestMsMax } = this.settings
      const opening = BrokerConnection.open({ address, clientId, connectMsMax, requestMsMax })
      this.#connections.set(key, opening)
      try {
        return await opening
      } catch (error) {
        if (this.#connections.get(key) === opening) this.#connections.delete(key)
        throw error
      }
    }
  }
}

/** @throws RangeError when it is not host:port */
function addressOf(broker: string): BrokerAddress {
  const [, host, port] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(broker) ?? []
  if (host === undefined || port === undefined) throw new RangeError(`not host:port: ${broker}`)
  return { host, port: Number(port) }
}
