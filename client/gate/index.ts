/** The gate in front of a service: checks API keys, rates and quotas, and refuses in HTTP that clients can act on. */
export type { Caller, Gate, GateAnswer, GateOutcome, GateRequest, GuardOptions } from './gate.ts'
export { createRemoteGate, type RemoteGateOptions } from './remote.ts'
export { guardFetch, type GuardedHandler } from './fetch.ts'
export { guardHono, type HonoContext } from './hono.ts'
export { guardExpress, guardFastify, type FastifyReply, type NodeRequest } from './node.ts'
