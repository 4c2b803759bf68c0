import { connect, type Socket } from 'node:net'
import Connection from 'kafkajs/src/network/connection.js'
import protocol from 'kafkajs/src/protocol/requests/index.js'
import { agreeOnVersions, type ApiVersions, versionsOfUnknownBroker } from './api-versions.ts'
import { brokerFault, KafkaFault, messageOf } from './kafka-fault.ts'
import type { KafkaApi, KafkaProtocol } from './protocol.ts'

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

export interface ConnectionOptions {
  readonly address: BrokerAddress
  readonly clientId: string
  readonly connectMsMax: number
  readonly requestMsMax: number
}

interface SilentLogger {
  readonly namespace: () => SilentLogger
  readonly debug: () => void
  readonly info: () => void
  readonly warn: () => void
  readonly error: () => void
}
const nothing = (): void => undefined
/** kafkajs writes its own lines; what went wrong reaches us as errors, and we say it once, in our words. */
const silentLogger: SilentLogger = {
  namespace: () => silentLogger,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
}

/**
 * One connection to one broker. A broker answers the requests of a connection one after another, so whatever waits
 * (a fetch at the end of a partition, a rebalance) has a connection of its own.
 */
export class BrokerConnection {
  readonly address: BrokerAddress
  readonly #connection: Connection
  readonly #socket: () => Socket | null
  #versions: ApiVersions = versionsOfUnknownBroker
  #isOpen = true

  private constructor(address: BrokerAddress, connection: Connection, socket: () => Socket | null) {
    this.address = address
    this.#connection = connection
    this.#socket = socket
  }

  /** @throws KafkaFault when the broker cannot be reached; LogError `unsafeSettings` when it speaks another protocol */
  static async open(options: ConnectionOptions): Promise<BrokerConnection> {
    const { host, port } = options.address
    let socket: Socket | null = null
    const connection = new Connection({
      host,
      port,
      clientId: options.clientId,
      logger: silentLogger,
      connectionTimeout: options.connectMsMax,
      requestTimeout: options.requestMsMax,
      enforceRequestTimeout: true,
      socketFactory: ({ onConnect }) => {
        socket = connect({ host, port, noDelay: true, keepAlive: true }, onConnect)
        return socket
      },
    })
    pollOnlyWhenThrottled(connection)
    const opened = new BrokerConnection(options.address, connection, () => socket)
    try {
      await connection.connect()
    } catch (error) {
      opened.close()
      throw new KafkaFault(`${host}:${port} cannot be reached: ${messageOf(error)}`, {
        isInDoubt: false,
        cause: error,
      })
    }
    try {
      const answer = await opened.call('ApiVersions', {})
      if (answer.errorCode !== 0) throw brokerFault('versions of the protocol', answer.errorCode)
      opened.#versions = agreeOnVersions(`${host}:${port}`, answer.apiVersions)
    } catch (error) {
      opened.close()
      throw error
    }
    return opened
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#connection.isConnected()
  }

  /**
   * Sends a request and gives the decoded answer, with the error codes in it: kafkajs's own reading of an answer throws
   * the first of them and loses what became of the other partitions. A request without an answer closes the connection.
   * @throws KafkaFault in doubt
   */
  async call<Api extends KafkaApi>(
    api: Api,
    params: KafkaProtocol[Api]['params'],
  ): Promise<KafkaProtocol[Api]['result']> {
    const version = this.#versions.get(api)
    const definition = protocol.requests[api]
    if (version === undefined || definition === undefined) throw new Error(`${api} was not agreed on`)
    const { host, port } = this.address
    // Closed while it was being opened, by who gave up the purpose: kafkajs would take the request, and as its queue
    // is gone, neither answer it nor let it time out.
    if (!this.#isOpen) {
      throw new KafkaFault(`${api} to ${host}:${port}: the connection was closed`, { isInDoubt: false })
    }
    const { request, response, requestTimeout } = definition.protocol({ version })(params)
    try {
      return (await this.#connection.send({
        request,
        response: { decode: response.decode, parse: (decoded) => Promise.resolve(decoded) },
        logResponseError: false,
        ...(requestTimeout === undefined ? {} : { requestTimeout }),
      })) as KafkaProtocol[Api]['result']
    } catch (error) {
      this.close()
      if (!(error instanceof Error) || !/^(KafkaJS|KafkaFault)/.test(error.name)) throw error // a fault in the program
      throw new KafkaFault(`${api} to ${host}:${port} got no answer: ${messageOf(error)}`, {
        isInDoubt: true,
        cause: error,
      })
    }
  }

  /** At once: requests that wait for an answer fail, in doubt. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#connection.rejectRequests(new KafkaFault('the connection was closed', { isInDoubt: true }))
    this.#connection.requestQueue.destroy()
    this.#socket()?.destroy()
  }
}

/**
 * kafkajs asks every millisecond whether a request waits because the broker throttles this client, and computes the
 * pause below zero, for which Node 24 prints a TimeoutNegativeWarning. This asks only when there is one.
 */
function pollOnlyWhenThrottled(connection: Connection): void {
  const queue = connection.requestQueue
  queue.scheduleCheckPendingRequests = () => {
    if (queue.pending.length === 0 || queue.throttleCheckTimeoutId !== null) return
    queue.throttleCheckTimeoutId = setTimeout(
      () => {
        queue.throttleCheckTimeoutId = null
        queue.checkPendingRequests()
      },
      Math.max(1, queue.throttledUntil - Date.now()),
    )
  }
}
