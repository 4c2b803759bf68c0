import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Config } from '../config.ts'
import type { HttpObserver } from '../http/api.ts'
import { createForwardAuth } from '../http/gate/forward-auth.ts'
import { createGateListener } from '../http/gate/listener.ts'
import { ANSWER_DEFAULTS, type AnswerOptions } from '../provision/http-answer.ts'
import type { LocalGate } from '../provision/local-gate.ts'
import type { Shell } from './shell.ts'

/** What the gate says for the API behind it. */
export function gateAnswers({ realm, topUpUrl, upgradeUrl }: Config['gate']): AnswerOptions {
  return { ...ANSWER_DEFAULTS, realm, topUpUrl, upgradeUrl }
}

/** Where proxies ask over HTTP, on the socket of the API. */
export function createGateDoor(
  { config, onFault }: Pick<Shell, 'config' | 'onFault'>,
  gate: LocalGate,
  metrics: HttpObserver,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const forwardAuth = createForwardAuth({
    gate,
    keyHeader: config.gate.keyHeader?.toLowerCase() ?? null,
    newRequestId: randomUUID,
    onFault: (error, requestId) => onFault(`the gate's request ${requestId}`, error),
    answer: gateAnswers(config.gate),
  })
  return createGateListener({
    forwardAuth,
    metrics,
    onFault: (error) => onFault('writing an answer of the gate', error),
  })
}
