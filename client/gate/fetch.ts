import { endUnsettled, type GateAnswer, type GateOutcome, guarded, type GuardOptions } from './gate.ts'

export type GuardedHandler = (request: Request, outcome: GateOutcome) => Response | Promise<Response>

/** A fetch handler (Deno, Bun, workers, Node's adapters) behind a gate. */
export function guardFetch(
  options: GuardOptions<Request>,
  handler: GuardedHandler,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const asked = guarded(options, request, (name) => request.headers.get(name))
    const outcome = await options.gate.check(asked)
    if (!outcome.isAllowed) return refusalResponse(outcome.answer)
    let response: Response
    try {
      response = await handler(request, outcome)
    } catch (error) {
      await outcome.release()
      throw error
    }
    await endUnsettled(outcome, response.status)
    return withHeaders(response, outcome.answer.headers)
  }
}

export function refusalResponse({ status, headers, problem }: GateAnswer): Response {
  return new Response(JSON.stringify(problem), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  })
}

function withHeaders(response: Response, headers: Readonly<Record<string, string>>): Response {
  const copy = new Response(response.body, response)
  for (const [name, value] of Object.entries(headers)) copy.headers.set(name, value)
  return copy
}
