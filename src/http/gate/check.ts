import { refusal } from '../../provision/decide.ts'
import { answerOf, type AnswerOptions } from '../../provision/http-answer.ts'
import type { LocalGateOutcome, LocalGateRequest } from '../../provision/local-gate.ts'
import type { GateDeps } from './gate-deps.ts'
import { type RequestHeaders, textOf } from './question.ts'

/** What is said, whatever carries it. */
export interface Told {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * The decision about a request of a proxy. It tells nobody how the request went, so what is announced is what is
 * used. A fault of ours is 503 and never a status that would blame the caller.
 */
export async function checkOrUnavailable(
  { gate, onFault, answer }: GateDeps,
  question: LocalGateRequest,
  requestId: string,
): Promise<LocalGateOutcome> {
  try {
    const outcome = await gate.check(question)
    if (outcome.isAllowed) await outcome.settle()
    return outcome
  } catch (error) {
    onFault(error, requestId)
    return unavailable(answer)
  }
}

/** Neither the caller's doing nor a passing trouble: whoever configures the proxy has to mend it. */
export function misconfigured(detail: string): Told {
  const problem = {
    type: 'urn:tallyman:problem:invalidGateRoute',
    title: 'The proxy asks for what there is not',
    status: 500,
    detail,
    code: 'invalidGateRoute',
  }
  return { status: 500, headers: {}, body: JSON.stringify(problem) }
}

/** An id that the proxy gave the request already; anything that is none is passed over. */
export function requestIdOf(headers: RequestHeaders): string | null {
  const told = textOf(headers, 'x-request-id')
  return told !== null && /^[\w.:-]{1,128}$/.test(told) ? told : null
}

const RETRY_AFTER_SECONDS = 2

function unavailable(options?: AnswerOptions): LocalGateOutcome {
  const detail = 'The gate cannot decide at the moment. This is no fault of yours; try again.'
  const refused = { ...refusal('unavailable', 503, detail), retryAfterSeconds: RETRY_AFTER_SECONDS }
  return {
    isAllowed: false,
    caller: null,
    answer: answerOf(
      {
        keyId: null,
        name: null,
        customer: null,
        subject: null,
        environment: null,
        scopes: [],
        quotas: [],
        rates: [],
        decidedAt: null,
        valid: false,
        refusal: refused,
      },
      options,
    ),
    settle: () => Promise.resolve(),
    release: () => Promise.resolve(),
  }
}
