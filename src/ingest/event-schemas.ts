import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import type { TenantId } from '../id/ids.ts'
import type { EventSchemaChange } from '../usage/directory-change.ts'
import type { JsonSchema } from '../usage/event-schema.ts'
import type { SchemaFault } from './answer.ts'
import { checkEventSchema, SCHEMA_LIMITS } from './event-schema-check.ts'
import { compilePattern } from './pattern.ts'
import { PatternError } from './pattern-parse.ts'
import type { EventSchema, EventSchemas } from './ports.ts'

export type ParsedEventSchema =
  | { readonly kind: 'schema'; readonly schema: JsonSchema }
  | { readonly kind: 'faulty'; readonly faults: readonly SchemaFault[] }

/** Checks a schema and compiles it, so that what is registered can be used. Pointers lead into the schema. */
export function parseEventSchema(raw: unknown): ParsedEventSchema {
  const faults = checkEventSchema(raw)
  if (faults.length > 0) return { kind: 'faulty', faults }
  const schema = raw as JsonSchema
  const ajv = createAjv()
  try {
    if (ajv.validateSchema(schema) !== true) {
      return { kind: 'faulty', faults: (ajv.errors ?? []).map((error) => faultAt('', error)) }
    }
    ajv.compile(schema)
  } catch (error) {
    const detail =
      error instanceof PatternError
        ? `has a pattern that cannot be used: ${error.message}`
        : `cannot be used: ${(error as Error).message}`
    return { kind: 'faulty', faults: [{ pointer: '', detail: detail.slice(0, 500) }] }
  }
  return { kind: 'schema', schema }
}

/** The schemas of all tenants in memory, as the control plane publishes them. Starts empty. */
export interface EventSchemaTable extends EventSchemas {
  /** Of two changes to one type the higher version wins; order and repetition do not matter. */
  apply(change: EventSchemaChange): void
}

interface Entry {
  readonly version: number
  readonly schema: JsonSchema | null
  /** Made when the first event of the type comes: a process with thousands of schemas starts at once. */
  compiled: EventSchema | null
}

export function createEventSchemas(): EventSchemaTable {
  const tenants = new Map<TenantId, Map<string, Entry>>()
  return {
    of(tenant, type) {
      const entry = tenants.get(tenant)?.get(type)
      if (entry === undefined || entry.schema === null) return null
      return (entry.compiled ??= compile(entry.schema))
    },
    apply({ tenant, type, version, schema }) {
      const ofTenant = tenants.get(tenant) ?? new Map<string, Entry>()
      tenants.set(tenant, ofTenant)
      if ((ofTenant.get(type)?.version ?? -1) >= version) return
      ofTenant.set(type, { version, schema, compiled: null })
    },
  }
}

function compile(schema: JsonSchema): EventSchema {
  const validate = createAjv().compile(schema)
  return { faultsOf: (data) => faultsOf(validate, data) }
}

/**
 * An instance for each schema: names of one must not be found by another, and nothing is fetched. `format` is a note
 * for people and not checked, for its expressions backtrack; patterns are matched by tables of our own.
 */
function createAjv(): Ajv2020 {
  const regExp = Object.assign((pattern: string) => compilePattern(pattern), { code: 'compilePattern' })
  return new Ajv2020({
    allErrors: false,
    strict: true,
    strictRequired: false,
    strictTypes: false,
    strictTuples: false,
    validateFormats: false,
    validateSchema: false,
    multipleOfPrecision: 9,
    logger: false,
    code: { regExp },
  })
}

function faultsOf(validate: ValidateFunction, data: unknown): readonly SchemaFault[] {
  if (validate(data)) return []
  return (validate.errors ?? []).slice(0, SCHEMA_LIMITS.faultsMax).map((error) => faultAt('/data', error))
}

function faultAt(prefix: string, { instancePath, keyword, message, params }: ErrorObject): SchemaFault {
  const named = keyword === 'additionalProperties' ? ` (${String(params['additionalProperty'])})` : ''
  return { pointer: prefix + instancePath, detail: `${message ?? keyword}${named}`.slice(0, 500) }
}
