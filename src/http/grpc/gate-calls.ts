import type { HttpObserver } from '../api.ts'
import type { GateDeps } from '../gate/gate-deps.ts'
import { createExtAuthz, EXT_AUTHZ_CHECK } from './ext-authz.ts'
import { varintField } from './protobuf.ts'
import { createRateLimit, SHOULD_RATE_LIMIT } from './rate-limit.ts'
import type { UnaryCall } from './server.ts'

const HEALTH_CHECK = '/grpc.health.v1.Health/Check'
/** HealthCheckResponse.ServingStatus */
const SERVING = varintField(1, 1)

/** Everything that the gate answers over gRPC, measured as its HTTP routes are. */
export function createGateCalls(deps: GateDeps, metrics: HttpObserver): ReadonlyMap<string, UnaryCall> {
  const measured =
    (route: string, call: UnaryCall): UnaryCall =>
    async (message) => {
      const startedMs = performance.now()
      const answer = await call(message)
      const seconds = (performance.now() - startedMs) / 1000
      // gRPC puts its own status into 200; a call that failed is told by what HTTP would say.
      metrics.answered({ method: 'POST', route, status: answer.kind === 'message' ? 200 : 503, seconds })
      return answer
    }
  return new Map([
    [EXT_AUTHZ_CHECK, measured(EXT_AUTHZ_CHECK, createExtAuthz(deps))],
    [SHOULD_RATE_LIMIT, measured(SHOULD_RATE_LIMIT, createRateLimit(deps))],
    [HEALTH_CHECK, async () => ({ kind: 'message', message: SERVING })],
  ])
}
