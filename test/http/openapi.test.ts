import { readFileSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../../src/http/api.ts'
import { createOpenApiRoutes, type OpenApiDocument, routeName } from '../../src/http/openapi.ts'
import type { Operation } from '../../src/http/openapi-operation.ts'
import { allRoutes } from '../support/all-routes.ts'

const SNAPSHOT = 'test/http/openapi.snapshot.json'
const PAGE = 'docs/api.md'
/** `UPDATE_OPENAPI=1` writes the snapshot and the page's table anew, for a change that is meant. */
const isUpdate = process.env['UPDATE_OPENAPI'] === '1'

/** Other vendors' contracts, which their own documentation describes. */
const DROP_IN = /^compat\//

let document: OpenApiDocument
let text: string
let routes: Awaited<ReturnType<typeof allRoutes>>

beforeAll(async () => {
  routes = await allRoutes()
  const api = createApi({ newRequestId: () => 'req_1', onFault: () => undefined })
  const described = [...routes].filter(([file]) => !DROP_IN.test(file)).map(([, one]) => one)
  api.route('/', createOpenApiRoutes('0.1.0', described))
  const response = await api.request('/openapi.json')
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
  document = (await response.json()) as OpenApiDocument
  text = `${JSON.stringify(document, null, 2)}\n`
})

interface Described {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly operation: Operation
}
const operations = (): Described[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method} ${path}`,
      method,
      path,
      operation,
    })),
  )

describe('GET /openapi.json', () => {
  it('is OpenAPI 3.1, and every reference leads somewhere', () => {
    expect(document.openapi).toBe('3.1.0')
    expect(document.info).toMatchObject({ title: 'Tallyman', version: '0.1.0' })
    expect(document.security).toEqual([{ bearer: [] }])
    expect(document.components['securitySchemes']).toMatchObject({
      bearer: { type: 'http', scheme: 'bearer' },
    })
    const references = [...text.matchAll(/"\$ref": "#\/([^"]+)"/g)].map(([, path = '']) => path.split('/'))
    expect(references.length).toBeGreaterThan(50)
    for (const path of references) {
      const target = path.reduce<unknown>(
        (at, part) => (at as Record<string, unknown> | undefined)?.[part],
        document,
      )
      expect(target, path.join('/')).toBeTypeOf('object')
    }
    expect(text, '3.1 says nullable with types').not.toContain('"nullable"')
  })

  it('describes each operation: a summary, its own id, its path’s parameters, its answers', () => {
    const ids = operations().map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { name, path, operation } of operations()) {
      expect(operation['summary'], name).toBeTypeOf('string')
      expect(operation['tags'], name).toHaveLength(1)
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
      const declared = (operation.parameters ?? []).filter((one) => one.in === 'path')
      expect(declared.map((one) => one.name).sort(), name).toEqual(inPath.sort())
      expect(Object.keys(operation.responses).some((status) => status.startsWith('2'))).toBe(true)
      for (const { description } of Object.values(operation.responses)) {
        expect(description, name).toBeTypeOf('string')
      }
    }
  })

  it('W4: every refusal is a problem', () => {
    for (const { name, operation } of operations()) {
      expect(operation.responses['default'], name).toBeDefined()
      for (const [status, { content }] of Object.entries(operation.responses)) {
        if (status.startsWith('2')) continue
        expect(content, `${name} ${status}`).toEqual({
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        })
      }
    }
  })

  it('W8: has every route that there is, and no other', () => {
    const routed = [...routes]
      .filter(([file]) => !DROP_IN.test(file))
      .flatMap(([, one]) => one.routes.filter(({ method }) => method !== 'ALL'))
    const names = new Set(routed.map(({ method, path }) => routeName(method, path)))
    const described = new Set(operations().map(({ method, path }) => routeName(method, path)))
    described.delete('get /openapi.json')
    expect([...names].sort()).toEqual([...described].sort())
  })

  it('writes take an Idempotency-Key, questions do not', () => {
    const takes = (path: string, method: string): boolean =>
      (document.paths[path]?.[method]?.parameters ?? []).some(
        ({ name }) => name.toLowerCase() === 'idempotency-key',
      )
    expect(takes('/v1/subscriptions', 'post')).toBe(true)
    expect(takes('/v1/meters/{key}', 'put')).toBe(true)
    expect(takes('/v1/meters/test', 'post')).toBe(false)
    expect(takes('/v1/meters', 'get')).toBe(false)
  })

  it('is what it was: another form of the API is a decision', () => {
    if (isUpdate) writeFileSync(SNAPSHOT, text)
    expect(text).toBe(readFileSync(SNAPSHOT, 'utf8'))
  })

  it('docs/api.md lists the routes with their scopes', () => {
    const table = [
      '| Route | Scope | Does |',
      '| --- | --- | --- |',
      ...operations().map(({ method, path, operation }) => {
        const scope = operation.security?.[0]?.['bearer']?.[0] ?? 'none'
        return `| \`${method.toUpperCase()} ${path}\` | ${scope} | ${String(operation['summary'])} |`
      }),
    ].join('\n')
    const page = readFileSync(PAGE, 'utf8')
    const between = /(?<=<!-- routes -->\n)[^]*?(?=\n<!-- end of routes -->)/
    if (isUpdate)
      writeFileSync(
        PAGE,
        page.replace(between, () => `\n${table}\n`),
      )
    expect(between.exec(readFileSync(PAGE, 'utf8'))?.[0].trim()).toBe(table)
  })
})
