import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Config } from '../config.ts'
import type { HttpObserver } from '../http/api.ts'
import { createForwardAuth } from '../http/gate/forward-auth.ts'
import type { GateDeps } from '../http/gate/gate-deps.ts'
import { createGateListener } from '../http/gate/listener.ts'
import { createGateCalls } from '../http/grpc/gate-calls.ts'
import { startGrpcServer } from '../http/grpc/server.ts'
import { ANSWER_DEFAULTS, type AnswerOptions } from '../provision/http-answer.ts'
import type { LocalGate } from '../provision/local-gate.ts'
import type { Shell } from './shell.ts'
import { listenFailure } from './start-failure.ts'

/** What the gate says for the API behind it. */
export function gateAnswers({ realm, topUpUrl, upgradeUrl }: Config['gate']): AnswerOptions {
  return { ...ANSWER_DEFAULTS, realm, topUpUrl, upgradeUrl }
}

/**
 * Where proxies ask: over gRPC on a socket of its own where a port is set, and over HTTP by what is answered, on the
 * socket of the API.
 */
export async function openGateDoor(
  shell: Pick<Shell, 'config' | 'closing' | 'logger' | 'onFault'>,
  gate: LocalGate,
  metrics: HttpObserver,
): Promise<(request: IncomingMessage, response: ServerResponse) => boolean> {
  const { config, closing, logger, onFault } = shell
  const { grpcPort } = config.gate
  const deps: GateDeps = {
    gate,
    keyHeader: config.gate.keyHeader?.toLowerCase() ?? null,
    newRequestId: randomUUID,
    onFault: (error, requestId) => onFault(`the gate's request ${requestId}`, error),
    answer: gateAnswers(config.gate),
  }
  const direct = createGateListener({
    forwardAuth: createForwardAuth(deps),
    metrics,
    onFault: (error) => onFault('writing an answer of the gate', error),
  })
  if (grpcPort === null) return direct
  const server = await startGrpcServer({
    host: config.host,
    port: grpcPort,
    calls: createGateCalls(deps, metrics),
    onFault: (path, error) => onFault(path, error),
  }).catch((error: unknown) => {
    if (!(error instanceof Error)) throw error
    throw listenFailure('gate over gRPC', config.host, grpcPort, 'TALLYMAN_GATE_GRPC_PORT', error)
  })
  closing.add('gate over gRPC', () => server.stop(config.shutdownSeconds * 1000))
  logger.info({ host: config.host, port: server.port }, 'the gate answers over gRPC')
  return direct
}
