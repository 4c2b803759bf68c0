import { describe, expect, it } from 'vitest'
import type { TenantId } from '../../src/id/ids.ts'
import { SCHEMA_LIMITS } from '../../src/ingest/event-schema-check.ts'
import {
  createEventSchemas,
  type EventSchemaTable,
  parseEventSchema,
} from '../../src/ingest/event-schemas.ts'
import type { JsonSchema } from '../../src/usage/event-schema.ts'
import { aCloudEvent, aStage, TENANT } from '../support/ingest.ts'

const TYPE = 'llm.request'

function give(table: EventSchemaTable, version: number, schema: JsonSchema | null): void {
  table.apply({ kind: 'eventSchema', version, tenant: TENANT, type: TYPE, schema })
}

describe('events of a type with a schema', () => {
  const regionIsText = { type: 'object', properties: { region: { type: 'string' } } }

  it('are rejected with the place of the fault, only of their tenant and type', async () => {
    const schemas = createEventSchemas()
    give(schemas, 1, regionIsText)
    const { send } = aStage({}, schemas)
    const good = aCloudEvent({ id: 'good', data: { region: 'eu' } })
    const bad = aCloudEvent({ data: { region: 5 } })
    expect(await send([good, bad])).toMatchObject({
      accepted: 1,
      rejected: [
        {
          index: 1,
          code: 'schemaMismatch',
          errors: [{ pointer: '/data/region', detail: 'must be string' }],
        },
      ],
    })
    expect(await send([{ ...bad, type: 'other' }])).toMatchObject({ accepted: 1 })
    expect(await send([bad], { tenant: 'ten_2' as TenantId })).toMatchObject({ accepted: 1 })
  })

  it('are duplicates still when they were taken before the schema', async () => {
    const schemas = createEventSchemas()
    const { send } = aStage({}, schemas)
    const event = aCloudEvent({ data: { region: 5 } })
    await send([event])
    give(schemas, 1, { type: 'object', required: ['tokens'], additionalProperties: false })
    expect(await send([event])).toMatchObject({ duplicates: 1, rejected: [] })
    const other = aCloudEvent({ id: 'new', data: { region: 5 } })
    expect(await send([other])).toMatchObject({ rejected: [{ code: 'schemaMismatch' }] })
    give(schemas, 2, null)
    expect(await send([other])).toMatchObject({ accepted: 1 })
  })

  it('of two changes the higher version wins, in whatever order they come', () => {
    const schemas = createEventSchemas()
    give(schemas, 5, null)
    give(schemas, 4, regionIsText)
    expect(schemas.of(TENANT, TYPE)).toBeNull()
    give(schemas, 6, regionIsText)
    give(schemas, 6, { type: 'object' })
    expect(schemas.of(TENANT, TYPE)?.faultsOf({ region: 5 })).toHaveLength(1)
  })
})

describe('a schema that is registered', () => {
  const faultsOf = (schema: unknown) => {
    const parsed = parseEventSchema(schema)
    return parsed.kind === 'faulty' ? parsed.faults : []
  }
  const property = (schema: unknown): JsonSchema => ({ type: 'object', properties: { a: schema } })

  it.each<readonly [string, JsonSchema]>([
    ['bounds and choices', property({ type: 'number', minimum: 0, multipleOf: 0.01 })],
    ['a pattern', property({ type: 'string', pattern: '^[a-z]+(-[a-z0-9]+)*$', maxLength: 63 })],
    ['a format, which is not checked', property({ type: 'string', format: 'email' })],
    ['a local reference', { $defs: { r: { enum: ['eu', 'us'] } }, properties: { a: { $ref: '#/$defs/r' } } }],
    ['conditions', { if: { required: ['a'] }, then: { required: ['b'] }, unevaluatedProperties: true }],
    ['a draft of its own', { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' }],
  ])('may have %s', (_, schema) => {
    expect(faultsOf(schema)).toEqual([])
  })

  it('19.99 is a multiple of 0.01', () => {
    const schemas = createEventSchemas()
    give(schemas, 1, property({ type: 'number', multipleOf: 0.01 }))
    const schema = schemas.of(TENANT, TYPE)
    expect([schema?.faultsOf({ a: 19.99 }), schema?.faultsOf({ a: 19.995 })]).toMatchObject([
      [],
      [{ pointer: '/data/a', detail: 'must be multiple of 0.01' }],
    ])
  })

  const deep = (levels: number): JsonSchema => (levels === 0 ? {} : { not: deep(levels - 1) })
  /** 2^20 schemas in a few hundred characters. */
  const bomb: JsonSchema = {
    $ref: '#/$defs/d20',
    $defs: Object.fromEntries(
      Array.from({ length: 21 }, (_, i) => [
        `d${i}`,
        i === 0 ? {} : { allOf: [{ $ref: `#/$defs/d${i - 1}` }, { $ref: `#/$defs/d${i - 1}` }] },
      ]),
    ),
  }

  it.each<readonly [string, unknown, string, string]>([
    ['no object', [], '', 'must be a JSON object'],
    ['null', null, '', 'must be a JSON object'],
    ['too long', { description: 'x'.repeat(70_000) }, '', 'characters'],
    ['an unknown type', property({ type: 'nothing' }), '/properties/a/type', 'must be equal to one'],
    ['an unknown keyword', { requird: ['a'] }, '/requird', 'no keyword'],
    ['an $id', { $id: 'http://example.com/x' }, '/$id', 'no keyword'],
    ['$dynamicRef', { $dynamicRef: '#x' }, '/$dynamicRef', 'no keyword'],
    ['a remote reference', { $ref: 'http://example.com/x' }, '/$ref', 'nothing is fetched'],
    ['a missing reference', { $ref: '#/$defs/x' }, '/$ref', 'there is no $defs named "x"'],
    [
      'a reference to itself',
      { $defs: { x: { properties: { y: { $ref: '#/$defs/x' } } } }, $ref: '#/$defs/x' },
      '/$defs/x/properties/y/$ref',
      'leads back to itself',
    ],
    ['itself', { $ref: '#' }, '/$ref', 'must be "#/$defs/" and a name'],
    ['references that multiply', bomb, '', `more than ${SCHEMA_LIMITS.nodesMax} schemas`],
    ['deep nesting', deep(SCHEMA_LIMITS.depthMax), '/not'.repeat(SCHEMA_LIMITS.depthMax), 'nested deeper'],
    ['a pattern that looks ahead', property({ pattern: '(?=a)' }), '', 'of groups, only'],
    ['a pattern without end', { patternProperties: { '(': {} } }, '', 'Invalid regular expression'],
    [
      'many patterns',
      { anyOf: Array.from({ length: 21 }, (_, i) => ({ pattern: `a${i}` })) },
      '',
      'more than 20 patterns',
    ],
    [
      'uniqueItems without maxItems',
      property({ uniqueItems: true }),
      '/properties/a/uniqueItems',
      'maxItems',
    ],
    [
      'a large enum',
      property({ enum: Array.from({ length: 1001 }, (_, i) => i) }),
      '/properties/a/enum',
      '1000',
    ],
  ])('must not be or have %s', (_, schema, pointer, detail) => {
    expect(faultsOf(schema)[0]?.pointer).toBe(pointer)
    expect(faultsOf(schema)[0]?.detail).toContain(detail)
  })

  it('cannot make the check of an event slow', () => {
    const hostile = [
      property({ type: 'string', pattern: '^(a+)+$' }),
      property({ type: 'string', pattern: '(.*)*x' }),
      { patternProperties: { '^(a|aa)+$': { type: 'number' } } },
    ]
    const values = [`${'a'.repeat(65_535)}!`]
    for (const [i, schema] of hostile.entries()) {
      expect(faultsOf(schema)).toEqual([])
      const schemas = createEventSchemas()
      give(schemas, i, schema)
      const compiled = schemas.of(TENANT, TYPE)
      const startedMs = performance.now()
      for (const a of values) compiled?.faultsOf({ a })
      expect(performance.now() - startedMs).toBeLessThan(500)
    }
  })
})
