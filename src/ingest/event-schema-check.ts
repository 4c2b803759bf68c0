import type { SchemaFault } from './answer.ts'

export const SCHEMA_LIMITS = {
  /** As JSON text. */
  schemaCharsMax: 65_536,
  /** Schemas within the schema, each counted as often as it is referred to; ten values of an `enum` count as one. */
  nodesMax: 1000,
  depthMax: 32,
  patternsMax: 20,
  enumValuesMax: 1000,
  /** Of arrays whose items must be unique: each is compared with each. */
  uniqueItemsMax: 256,
  /** Faults told of one event. */
  faultsMax: 10,
} as const

/** Keywords whose value is not looked into here; the compiler checks them. */
const PLAIN = new Set([
  ...['$schema', '$comment', 'title', 'description', 'default', 'examples', 'deprecated', 'readOnly'],
  ...['writeOnly', 'format', 'type', 'const', 'multipleOf', 'maximum', 'exclusiveMaximum', 'minimum'],
  ...['exclusiveMinimum', 'maxLength', 'minLength', 'maxItems', 'minItems', 'maxContains', 'minContains'],
  ...['maxProperties', 'minProperties', 'required', 'dependentRequired'],
])
const ONE_SCHEMA = new Set([
  ...['items', 'additionalProperties', 'propertyNames', 'contains', 'not', 'if', 'then', 'else'],
  ...['unevaluatedItems', 'unevaluatedProperties'],
])
const LIST_OF_SCHEMAS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const SCHEMAS_BY_NAME = new Set(['properties', 'patternProperties', 'dependentSchemas'])
const DEFINITIONS = new Set(['$defs', 'definitions'])
const LOCAL_REFERENCE = /^#\/(\$defs|definitions)\/([^/]+)$/

type Members = Readonly<Record<string, unknown>>

/**
 * Whether a schema can be let onto the path of events: bounded in size, and so that the time to check an event is
 * bounded by the event. Every fault at once. What is left to find is found by compiling it.
 */
export function checkEventSchema(schema: unknown): readonly SchemaFault[] {
  if (!isMembers(schema)) return [{ pointer: '', detail: 'must be a JSON object' }]
  const { schemaCharsMax } = SCHEMA_LIMITS
  if (JSON.stringify(schema).length > schemaCharsMax) {
    return [{ pointer: '', detail: `must not have more than ${schemaCharsMax} characters` }]
  }
  return new Checker(schema).run()
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

class Checker {
  readonly #root: Members
  readonly #faults: SchemaFault[] = []
  /** Nodes of a definition with all that it refers to; null while it is being counted. */
  readonly #sizes = new Map<string, number | null>()
  #patterns = 0

  constructor(root: Members) {
    this.#root = root
  }

  run(): readonly SchemaFault[] {
    const { nodesMax, patternsMax } = SCHEMA_LIMITS
    const nodes = this.#schema(this.#root, '', 1)
    for (const keyword of DEFINITIONS) {
      const definitions = this.#root[keyword]
      if (definitions !== undefined && !isMembers(definitions)) this.#note(`/${keyword}`, 'must be an object')
      else for (const name of Object.keys(definitions ?? {})) this.#definition(keyword, name, `/${keyword}`)
    }
    if (nodes > nodesMax) {
      this.#note('', `must not come to more than ${nodesMax} schemas with its references written out`)
    }
    if (this.#patterns > patternsMax) this.#note('', `must not have more than ${patternsMax} patterns`)
    return this.#faults.slice(0, SCHEMA_LIMITS.faultsMax)
  }

  #note(pointer: string, detail: string): void {
    this.#faults.push({ pointer, detail })
  }

  #schema(schema: unknown, pointer: string, depth: number): number {
    if (typeof schema === 'boolean') return 1
    if (!isMembers(schema)) {
      this.#note(pointer, 'must be a schema: an object, true or false')
      return 1
    }
    if (depth > SCHEMA_LIMITS.depthMax) {
      this.#note(pointer, `is nested deeper than ${SCHEMA_LIMITS.depthMax} schemas`)
      return 1
    }
    let nodes = 1
    for (const [keyword, value] of Object.entries(schema)) {
      nodes += this.#keyword(schema, keyword, value, `${pointer}/${escaped(keyword)}`, depth)
    }
    return nodes
  }

  #keyword(schema: Members, keyword: string, value: unknown, at: string, depth: number): number {
    if (PLAIN.has(keyword)) return 0
    if (ONE_SCHEMA.has(keyword)) return this.#schema(value, at, depth + 1)
    if (LIST_OF_SCHEMAS.has(keyword)) {
      if (!Array.isArray(value)) return this.#fault(at, 'must be an array of schemas')
      return sum(value.map((one, i) => this.#schema(one, `${at}/${i}`, depth + 1)))
    }
    if (SCHEMAS_BY_NAME.has(keyword)) {
      if (!isMembers(value)) return this.#fault(at, 'must hold a schema for each name')
      if (keyword === 'patternProperties') this.#patterns += Object.keys(value).length
      return sum(
        Object.entries(value).map(([name, one]) => this.#schema(one, `${at}/${escaped(name)}`, depth + 1)),
      )
    }
    switch (keyword) {
      case '$defs':
      case 'definitions':
        return depth === 1 ? 0 : this.#fault(at, 'must stand at the top of the schema')
      case '$ref':
        return this.#reference(value, at)
      case 'pattern':
        this.#patterns++
        return 0
      case 'enum':
        return this.#enum(value, at)
      case 'uniqueItems':
        return this.#uniqueItems(schema, value, at)
      default:
        return this.#fault(at, 'is no keyword of JSON Schema 2020-12 that can be used here')
    }
  }

  #fault(pointer: string, detail: string): number {
    this.#note(pointer, detail)
    return 0
  }

  #enum(value: unknown, at: string): number {
    const { enumValuesMax } = SCHEMA_LIMITS
    if (!Array.isArray(value)) return this.#fault(at, 'must be an array')
    if (value.length > enumValuesMax)
      return this.#fault(at, `must not have more than ${enumValuesMax} values`)
    return Math.ceil(value.length / 10)
  }

  #uniqueItems(schema: Members, value: unknown, at: string): number {
    const { uniqueItemsMax } = SCHEMA_LIMITS
    const most = schema['maxItems']
    if (value === false || (typeof most === 'number' && most <= uniqueItemsMax)) return 0
    return this.#fault(at, `needs "maxItems" of at most ${uniqueItemsMax} beside it`)
  }

  #reference(value: unknown, at: string): number {
    const match = typeof value === 'string' ? LOCAL_REFERENCE.exec(value) : null
    if (match === null) return this.#fault(at, 'must be "#/$defs/" and a name: nothing is fetched')
    const [, keyword = '', name = ''] = match
    return this.#definition(keyword, unescaped(name), at)
  }

  #definition(keyword: string, name: string, at: string): number {
    const definitions = this.#root[keyword]
    if (!isMembers(definitions) || !Object.hasOwn(definitions, name)) {
      return this.#fault(at, `there is no ${keyword} named ${JSON.stringify(name.slice(0, 100))}`)
    }
    const pointer = `/${keyword}/${escaped(name)}`
    const known = this.#sizes.get(pointer)
    if (known === null) {
      return this.#fault(at, 'leads back to itself; write the levels out, "data" is at most 8 deep')
    }
    if (known !== undefined) return known
    this.#sizes.set(pointer, null)
    const size = this.#schema(definitions[name], pointer, 2)
    this.#sizes.set(pointer, size)
    return size
  }
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0)
}

function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

function unescaped(name: string): string {
  const plain = name.replaceAll('~1', '/').replaceAll('~0', '~')
  try {
    return decodeURIComponent(plain)
  } catch {
    return plain // a percent sign that is none of an escape: no definition has that name
  }
}
