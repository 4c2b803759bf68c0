import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

const PRODUCE = 0

/** What happens to one produce request. */
export type ProduceFault =
  /** The broker appends and answers; the answer is lost with the connection. */
  | { readonly kind: 'cutBeforeAck' }
  /** The connection is lost before the broker has the request. */
  | { readonly kind: 'cutBeforeAppend' }
  /** The answer comes when `release` is called. */
  | { readonly kind: 'holdAck' }
  /** The answer says that the append to this partition failed with this code. It did not. */
  | { readonly kind: 'answer'; readonly partition: number; readonly errorCode: number }

/** A TCP proxy in front of one Kafka broker that knows enough of the protocol to break it at the worst moments. */
export interface FaultProxy {
  readonly port: number
  /** Where the broker is. */
  target(port: number): void
  /** Asked for each produce request, in order; null lets it pass. */
  onProduce(choose: (() => ProduceFault | null) | null): void
  /** Answers that are held now. */
  held(): number
  /** Lets the answers go that are held. */
  release(): void
  /** Connections stay open and nothing passes, as when a cable is pulled. New ones are taken, and are as dead. */
  freeze(): void
  /** Ends what was frozen; new connections pass. */
  thaw(): void
  /** The most produce requests that were unanswered at one moment. */
  produceInFlightMax(): number
  produceRequests(): number
  stop(): Promise<void>
}

export async function startFaultProxy(): Promise<FaultProxy> {
  const pairs = new Set<Pair>()
  const state = { targetPort: 0, isFrozen: false, inFlight: 0, inFlightMax: 0, requests: 0 }
  let choose: (() => ProduceFault | null) | null = null
  let held: (() => void)[] = []
  const server = createServer((client) => {
    const pair = new Pair(client, state.targetPort, {
      isFrozen: () => state.isFrozen,
      onProduce: () => {
        state.requests++
        state.inFlightMax = Math.max(state.inFlightMax, ++state.inFlight)
        return choose?.() ?? null
      },
      onAnswered: () => state.inFlight--,
      hold: (pass) => held.push(pass),
      onClosed: () => pairs.delete(pair),
    })
    pairs.add(pair)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const release = (): void => {
    for (const pass of held.splice(0)) pass()
  }
  return {
    port: (server.address() as AddressInfo).port,
    target: (port) => (state.targetPort = port),
    onProduce: (next) => (choose = next),
    held: () => held.length,
    release,
    freeze: () => (state.isFrozen = true),
    thaw() {
      state.isFrozen = false
      for (const pair of pairs) pair.close()
    },
    produceInFlightMax: () => state.inFlightMax,
    produceRequests: () => state.requests,
    async stop() {
      held = []
      for (const pair of pairs) pair.close()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

interface PairDeps {
  readonly isFrozen: () => boolean
  readonly onProduce: () => ProduceFault | null
  readonly onAnswered: () => void
  readonly hold: (pass: () => void) => void
  readonly onClosed: () => void
}

/** One client's connection and the one to the broker behind it. */
class Pair {
  readonly #client: Socket
  readonly #broker: Socket
  readonly #deps: PairDeps
  /** Unanswered produce requests by correlation id. */
  readonly #produce = new Map<number, ProduceFault | null>()
  #isClosed = false

  constructor(client: Socket, targetPort: number, deps: PairDeps) {
    this.#client = client
    this.#deps = deps
    this.#broker = connect({ host: '127.0.0.1', port: targetPort, noDelay: true })
    const close = (): void => this.close()
    for (const socket of [this.#client, this.#broker]) socket.on('error', close).on('close', close)
    const requests = new Frames((frame) => this.#request(frame))
    const answers = new Frames((frame) => this.#answer(frame))
    this.#client.setNoDelay(true).on('data', (data) => requests.add(data))
    this.#broker.on('data', (data) => answers.add(data))
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#produce.forEach(() => this.#deps.onAnswered())
    this.#client.destroy()
    this.#broker.destroy()
    this.#deps.onClosed()
  }

  #request(frame: Buffer): void {
    if (this.#isClosed || this.#deps.isFrozen()) return
    if (frame.readInt16BE(4) === PRODUCE) {
      const fault = this.#deps.onProduce()
      this.#produce.set(frame.readInt32BE(8), fault)
      if (fault?.kind === 'cutBeforeAppend') {
        this.close()
        return
      }
    }
    this.#broker.write(frame)
  }

  #answer(frame: Buffer): void {
    if (this.#isClosed || this.#deps.isFrozen()) return
    const correlationId = frame.readInt32BE(4)
    const fault = this.#produce.get(correlationId)
    const pass = (): void => {
      if (this.#isClosed) return
      if (this.#produce.delete(correlationId)) this.#deps.onAnswered()
      this.#client.write(frame)
    }
    switch (fault?.kind) {
      case undefined:
      case 'cutBeforeAppend':
        pass()
        break
      case 'cutBeforeAck':
        this.close()
        break
      case 'holdAck':
        this.#deps.hold(pass)
        break
      case 'answer':
        falsify(frame, fault.partition, fault.errorCode)
        pass()
        break
    }
  }
}

/** Cuts a stream into Kafka's frames: four bytes of length, then as many bytes. */
class Frames {
  readonly #onFrame: (frame: Buffer) => void
  #buffered = Buffer.alloc(0)

  constructor(onFrame: (frame: Buffer) => void) {
    this.#onFrame = onFrame
  }

  add(data: Buffer): void {
    this.#buffered = Buffer.concat([this.#buffered, data])
    while (this.#buffered.length >= 4) {
      const end = 4 + this.#buffered.readInt32BE(0)
      if (this.#buffered.length < end) return
      this.#onFrame(Buffer.from(this.#buffered.subarray(0, end)))
      this.#buffered = this.#buffered.subarray(end)
    }
  }
}

/** Writes an error code into the answer to a produce request, version 5 to 7. */
function falsify(frame: Buffer, partition: number, errorCode: number): void {
  let at = 8
  const topics = frame.readInt32BE(at)
  at += 4
  for (let topic = 0; topic < topics; topic++) {
    at += 2 + frame.readInt16BE(at)
    const partitions = frame.readInt32BE(at)
    at += 4
    for (let i = 0; i < partitions; i++) {
      if (frame.readInt32BE(at) === partition) frame.writeInt16BE(errorCode, at + 4)
      at += 4 + 2 + 8 + 8 + 8
    }
  }
}
