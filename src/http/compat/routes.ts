import { randomBytes } from 'node:crypto'
import { readExactJson } from '../../ingest/exact-json.ts'
import { type Api, authenticateRequest, createRouter } from '../api.ts'
import { BODIES_BYTES_MAX, BodyBudget, type BodyBounds } from '../bounded-body.ts'
import { problemOf } from '../events.ts'
import { type CompatDeps, readCompatBody } from './call.ts'
import { acceptLago, isLagoBody } from './lago.ts'
import { acceptOpenMeter, addOpenMeterReads, type OpenMeterReads } from './openmeter.ts'
import { createStripeSessions } from './stripe-session.ts'
import { addStripeRoutes } from './stripe.ts'

export interface CompatRoutesDeps extends CompatDeps {
  /** Absent: OpenMeter's read calls have no route. */
  readonly openMeterReads?: OpenMeterReads
  /** 32 bytes that all processes behind one address share; absent, this process accepts its own sessions only. */
  readonly sessionSecret?: Uint8Array
}

/**
 * Endpoints where the unmodified clients of OpenMeter, Lago and Stripe send their usage. All of them hand CloudEvents to
 * the stage, all or none, and answer after the log has them.
 */
export function createCompatRoutes(deps: CompatRoutesDeps): Api {
  const api = createRouter()
  const bounds: BodyBounds = { bytesMax: deps.bodyBytesMax, budget: new BodyBudget(BODIES_BYTES_MAX) }

  // OpenMeter and Lago share this path: Lago's bodies are plain JSON with `event` or `events` at the top.
  api.post('/api/v1/events', async (c) => {
    const { tenant } = authenticateRequest(deps.authenticator, c.req.header('authorization'), 'ingest')
    const body = await readCompatBody(c, deps, bounds)
    if (!/^\s*application\/cloudevents/i.test(c.req.header('content-type') ?? '')) {
      const parsed = readExactJson(body)
      if (parsed.kind === 'refused') throw problemOf(parsed)
      if (isLagoBody(parsed.value)) return acceptLago(c, deps, tenant, parsed.value)
    }
    return acceptOpenMeter(c, deps, tenant, body, 204)
  })

  api.post('/api/v3/openmeter/events', async (c) => {
    const { tenant } = authenticateRequest(deps.authenticator, c.req.header('authorization'), 'ingest')
    return acceptOpenMeter(c, deps, tenant, await readCompatBody(c, deps, bounds), 202)
  })

  for (const path of [
    '/api/v1/events/batch',
    '/compat/lago/api/v1/events',
    '/compat/lago/api/v1/events/batch',
  ]) {
    api.post(path, async (c) => {
      const { tenant } = authenticateRequest(deps.authenticator, c.req.header('authorization'), 'ingest')
      const parsed = readExactJson(await readCompatBody(c, deps, bounds))
      if (parsed.kind === 'refused') throw problemOf(parsed)
      return acceptLago(c, deps, tenant, parsed.value)
    })
  }

  const sessions = createStripeSessions(deps.sessionSecret ?? randomBytes(32), randomBytes)
  addStripeRoutes(api, deps, sessions, bounds)
  if (deps.openMeterReads !== undefined) addOpenMeterReads(api, deps, deps.openMeterReads)
  return api
}
