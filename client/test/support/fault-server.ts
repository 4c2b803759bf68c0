import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the server does with a request. Only 'take' does what it should. */
export type Behaviour =
  | { readonly kind: 'take'; readonly reject?: Readonly<Record<string, string>> }
  /** Stores the events and cuts the connection: the client cannot know. */
  | { readonly kind: 'takeAndDrop' }
  /** Stores the events and answers when the client has given the request up. */
  | { readonly kind: 'takeAndAnswerLate' }
  /** Stores the events and answers 202 with something that is no receipt. */
  | { readonly kind: 'takeAndGarble'; readonly body: string }
  | { readonly kind: 'drop' }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly body?: string
      readonly headers?: Readonly<Record<string, string>>
    }

export const TAKE: Behaviour = { kind: 'take' }

export function problem(status: number, code: string, headers: Record<string, string> = {}): Behaviour {
  return {
    kind: 'answer',
    status,
    headers,
    body: JSON.stringify({ status, code, detail: `Because ${code}.` }),
  }
}

/** Faults that pass: the same bytes succeed later. */
export const PASSING_FAULTS: readonly (readonly [string, Behaviour])[] = [
  ['the connection is cut after storing', { kind: 'takeAndDrop' }],
  ['the connection is cut before', { kind: 'drop' }],
  ['the answer comes too late', { kind: 'takeAndAnswerLate' }],
  ['202 with a web page', { kind: 'takeAndGarble', body: '<html>Welcome to the hotel</html>' }],
  [
    '202 that leaves an event out',
    { kind: 'takeAndGarble', body: '{"accepted":1,"duplicates":0,"rejected":[]}' },
  ],
  ['200', { kind: 'answer', status: 200, body: '{"accepted":3,"duplicates":0,"rejected":[]}' }],
  ['408', { kind: 'answer', status: 408 }],
  ['429', problem(429, 'rateLimited')],
  ['500', { kind: 'answer', status: 500, body: 'oops' }],
  ['503', problem(503, 'overloaded')],
]

interface SeenRequest {
  readonly authorization: string
  readonly contentType: string
  readonly path: string
  readonly ids: readonly string[]
}

export interface FaultServer {
  readonly url: string
  readonly requests: readonly SeenRequest[]
  /** Every spelling in which an identity arrived and was stored; one for each is right. */
  readonly stored: ReadonlyMap<string, ReadonlySet<string>>
  /** What it does with the n-th request, from 0. */
  behave: (n: number, ids: readonly string[]) => Behaviour
  stop(): Promise<void>
}

interface SeenEvent {
  readonly id: string
  readonly source: string
}

/** A server on loopback that counts identities as the real one does, and misbehaves as told. */
export async function startFaultServer(): Promise<FaultServer> {
  const requests: SeenRequest[] = []
  const stored = new Map<string, Set<string>>()

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const events = JSON.parse(Buffer.concat(chunks).toString()) as readonly SeenEvent[]
    const ids = events.map(({ id }) => id)
    requests.push({
      authorization: request.headers.authorization ?? '',
      contentType: request.headers['content-type'] ?? '',
      path: request.url ?? '',
      ids,
    })
    act(server.behave(requests.length - 1, ids), events, request, response)
  }

  function act(
    behaviour: Behaviour,
    events: readonly SeenEvent[],
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    switch (behaviour.kind) {
      case 'take':
        answerJson(response, store(events, behaviour.reject ?? {}))
        return
      case 'takeAndDrop':
        store(events, {})
        request.socket.destroy()
        return
      case 'takeAndAnswerLate': {
        const answer = store(events, {})
        response.on('close', () => answerJson(response, answer))
        return
      }
      case 'takeAndGarble':
        store(events, {})
        response.writeHead(202).end(behaviour.body)
        return
      case 'drop':
        request.socket.destroy()
        return
      case 'answer':
        response.writeHead(behaviour.status, behaviour.headers).end(behaviour.body)
    }
  }

  function store(events: readonly SeenEvent[], reject: Readonly<Record<string, string>>): object {
    let accepted = 0
    const rejected: object[] = []
    const receipts: object[] = []
    events.forEach((event, index) => {
      const { id, source } = event
      const code = reject[id]
      if (code !== undefined) {
        rejected.push({ index, id, code, detail: `Because ${code}.` })
        return
      }
      const identity = `${source} ${id}`
      const spellings = stored.get(identity) ?? new Set()
      if (spellings.size === 0) accepted += 1
      stored.set(identity, spellings.add(JSON.stringify(event)))
      receipts.push({ id, partition: 0, offset: stored.size, index })
    })
    return { accepted, duplicates: events.length - rejected.length - accepted, rejected, receipts }
  }

  const http = createServer((request, response) => void handle(request, response))
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const server: FaultServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    requests,
    stored,
    behave: () => TAKE,
    stop: async () => {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
  return server
}

function answerJson(response: ServerResponse, body: object): void {
  response.writeHead(202, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
