import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { endUnsettled, type GateAnswer, type GateOutcome, guarded, type GuardOptions } from './gate.ts'

/** What is needed of a request of Node's server; Express's has all of it. */
export interface NodeRequest {
  readonly headers: IncomingHttpHeaders
  /** What the gate decided, for the handler. */
  gate?: GateOutcome
}

/** Express (and anything with `(request, response, next)`): `app.use(guardExpress({ gate }))`. */
export function guardExpress<Request extends NodeRequest>(options: GuardOptions<Request>) {
  return (request: Request, response: ServerResponse, next: (error?: unknown) => void): void => {
    decide(options, request, response, () => undefined).then((isAllowed) => {
      if (isAllowed) next()
    }, next)
  }
}

/** What is needed of Fastify's reply. */
export interface FastifyReply {
  readonly raw: ServerResponse
  hijack(): unknown
}

/** Fastify: `app.addHook('onRequest', guardFastify({ gate }))`. A refusal is written by the hook itself. */
export function guardFastify<Request extends NodeRequest>(options: GuardOptions<Request>) {
  return async (request: Request, reply: FastifyReply): Promise<void> => {
    await decide(options, request, reply.raw, () => reply.hijack())
  }
}

async function decide<Request extends NodeRequest>(
  options: GuardOptions<Request>,
  request: Request,
  response: ServerResponse,
  takeOver: () => void,
): Promise<boolean> {
  const asked = guarded(options, request, (name) => one(request.headers[name]))
  const outcome = await options.gate.check(asked)
  if (!outcome.isAllowed) {
    takeOver()
    refuse(response, outcome.answer)
    return false
  }
  request.gate = outcome
  for (const [name, value] of Object.entries(outcome.answer.headers)) response.setHeader(name, value)
  // `close` comes after `finish`, and alone when the caller went away: then the work was done all the same.
  response.once('close', () => void endUnsettled(outcome, response.statusCode))
  return true
}

function refuse(response: ServerResponse, { status, headers, problem }: GateAnswer): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/problem+json' })
  response.end(JSON.stringify(problem))
}

function one(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}
