import { z } from '@hono/zod-openapi'
import type { QuotaKey, TenantId } from '../id/ids.ts'
import type { Checked, CheckRequest, Gatekeeper } from '../provision/gatekeeper.ts'
import { parsePermission, type PermissionQuery } from '../provision/permission.ts'
import { ProblemError } from './problem.ts'

const UNITS_DIGITS_MAX = 18
const COSTS_MAX = 32

const wholeUnitsText = z
  .string()
  .regex(
    new RegExp(`^(0|[1-9]\\d{0,${UNITS_DIGITS_MAX - 1}})$`),
    `must be a whole number of up to ${UNITS_DIGITS_MAX} digits, such as "1500"`,
  )
  .openapi({ type: 'string', example: '1500' })

/** Quota → units. */
export const costShape = z
  .record(z.string(), wholeUnitsText)
  .refine((cost) => Object.keys(cost).length <= COSTS_MAX, `has more than ${COSTS_MAX} quotas`)

/** What a service asks about a request of its own caller. */
export const checkRequestShape = z.strictObject({
  key: z.string().max(500),
  permission: z
    .string()
    .min(1)
    .max(1000)
    .nullish()
    .openapi({ example: 'chat.write AND (model.small OR model.large)' }),
  ip: z
    .union([z.ipv4(), z.ipv6()])
    .nullish()
    .openapi({ description: 'Where your caller comes from; keys that are bound to addresses need it.' }),
  cost: costShape
    .optional()
    .openapi({ description: 'Units that the request uses of leased quotas: all are taken, or none.' }),
})

export function checkRequestOf(tenant: TenantId, body: z.output<typeof checkRequestShape>): CheckRequest {
  return {
    tenant,
    key: body.key,
    permission: permissionOf(body.permission ?? null),
    from: body.ip ?? null,
    cost: new Map(
      Object.entries(body.cost ?? {}).map(([quotaKey, units]) => [quotaKey as QuotaKey, BigInt(units)]),
    ),
  }
}

/** The decision with its units. Refuses costs in quotas that the key does not carry: they would never be counted. */
export async function checkWith(gatekeeper: Gatekeeper | undefined, request: CheckRequest): Promise<Checked> {
  if (gatekeeper === undefined) {
    throw new ProblemError({
      status: 503,
      code: 'noLedger',
      title: 'No quota ledger',
      detail: 'This process keeps no quota ledger. Ask one with the role "provision".',
    })
  }
  const [foreign] = gatekeeper.foreignQuotas(request)
  if (foreign !== undefined) {
    throw invalidRequest('quotaNotHeld', `/cost/${foreign}`, `The key does not carry the quota "${foreign}".`)
  }
  return gatekeeper.check(request)
}

export function permissionOf(text: string | null): PermissionQuery | null {
  if (text === null) return null
  const parsed = parsePermission(text)
  if (parsed.kind === 'query') return parsed.query
  throw invalidRequest('invalidPermission', '/permission', parsed.detail)
}

export function invalidRequest(code: string, pointer: string, detail: string): ProblemError {
  const errors = [{ pointer, detail }]
  return new ProblemError({ status: 400, code, title: 'The request is not valid', detail, errors })
}
