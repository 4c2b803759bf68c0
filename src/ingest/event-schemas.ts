import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import type { TenantId } from '../id/ids.ts'
import type { SchemaFault } from './answer.ts'
import type { EventSchemas } from './ports.ts'

/** A schema as a tenant registers it: JSON Schema 2020-12 for `data` of one event type. */
export type SchemaOutcome =
  { readonly kind: 'registered' } | { readonly kind: 'refused'; readonly detail: string }

export interface EventSchemaRegistry extends EventSchemas {
  /** Compiles the schema and uses it from the next event on. The one before stays in force when this one is refused. */
  set(tenant: TenantId, type: string, schema: unknown): SchemaOutcome
  remove(tenant: TenantId, type: string): void
}

export const SCHEMA_LIMITS = {
  /** As JSON text. */
  schemaCharsMax: 65_536,
  schemasPerTenantMax: 1000,
  /** Faults told of one event. */
  faultsMax: 10,
} as const

/** The schemas of all tenants, compiled, in memory. Starts empty. */
export function createEventSchemas(): EventSchemaRegistry {
  const tenants = new Map<TenantId, Map<string, ValidateFunction>>()
  return {
    of(tenant, type) {
      const validate = tenants.get(tenant)?.get(type)
      return validate === undefined ? null : { faultsOf: (data) => faultsOf(validate, data) }
    },
    set(tenant, type, schema) {
      const { schemaCharsMax, schemasPerTenantMax } = SCHEMA_LIMITS
      if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
        return { kind: 'refused', detail: 'A schema must be a JSON object.' }
      }
      if (JSON.stringify(schema).length > schemaCharsMax) {
        return { kind: 'refused', detail: `A schema has at most ${schemaCharsMax} characters.` }
      }
      const ofTenant = tenants.get(tenant) ?? new Map<string, ValidateFunction>()
      if (!ofTenant.has(type) && ofTenant.size >= schemasPerTenantMax) {
        return { kind: 'refused', detail: `A tenant has at most ${schemasPerTenantMax} schemas.` }
      }
      try {
        // An instance of its own: an $id of one tenant must not be found by another, and nothing is fetched.
        const ajv = new Ajv2020({
          allErrors: false,
          strict: true,
          strictRequired: false,
          validateFormats: false,
        })
        ofTenant.set(type, ajv.compile(schema))
      } catch (error) {
        return { kind: 'refused', detail: `The schema cannot be used: ${(error as Error).message}` }
      }
      tenants.set(tenant, ofTenant)
      return { kind: 'registered' }
    },
    remove(tenant, type) {
      tenants.get(tenant)?.delete(type)
    },
  }
}

function faultsOf(validate: ValidateFunction, data: unknown): readonly SchemaFault[] {
  if (validate(data)) return []
  return (validate.errors ?? []).slice(0, SCHEMA_LIMITS.faultsMax).map(faultOf)
}

function faultOf({ instancePath, keyword, message, params }: ErrorObject): SchemaFault {
  const named = keyword === 'additionalProperties' ? ` (${String(params['additionalProperty'])})` : ''
  return { pointer: `/data${instancePath}`, detail: `${message ?? keyword}${named}`.slice(0, 500) }
}
