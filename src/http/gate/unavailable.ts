import { refusal } from '../../provision/decide.ts'
import { answerOf, type AnswerOptions } from '../../provision/http-answer.ts'
import type { LocalGateOutcome } from '../../provision/local-gate.ts'

const RETRY_AFTER_SECONDS = 2

/** The answer when the gate itself failed: 503, and never a status that would blame the caller. */
export function unavailable(options?: AnswerOptions): LocalGateOutcome {
  const detail = 'The gate cannot decide at the moment. This is no fault of yours; try again.'
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
        refusal: { ...refusal('unavailable', 503, detail), retryAfterSeconds: RETRY_AFTER_SECONDS },
      },
      options,
    ),
    settle: () => Promise.resolve(),
    release: () => Promise.resolve(),
  }
}
