import { createRoute, z } from '@hono/zod-openapi'
import { type Api, createRouter } from './api.ts'
import { describeOperation, type Operation } from './openapi-operation.ts'
import { scopeOf } from './scoped.ts'

const DESCRIPTION = `Usage metering, rating, invoicing and the gate.

Amounts and quantities are decimals in quotes, instants RFC 3339 in UTC, intervals half-open \`[start, end)\`.
Every refusal is \`application/problem+json\` with a stable \`code\` and pointers into the request.`

const problemShape = z
  .object({
    type: z.string().openapi({ example: 'urn:tallyman:problem:unknownMeter' }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().openapi({ description: 'What is wrong and what to do, for a person.' }),
    instance: z.string().openapi({ description: 'The id of the request, as in the header x-request-id.' }),
    code: z.string().openapi({ description: 'Stable; what programs act on.', example: 'unknownMeter' }),
    errors: z
      .array(
        z.object({
          pointer: z.string().openapi({
            description: 'JSON pointer into the body, or "/" and the name of a parameter.',
          }),
          detail: z.string(),
        }),
      )
      .optional(),
  })
  .openapi('Problem', { description: 'RFC 9457; some codes have further members.' })

/** OpenAPI 3.1, as far as it is put together here. */
export interface OpenApiDocument {
  readonly openapi: string
  readonly info: Readonly<Record<string, unknown>>
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

const openApiRoute = createRoute({
  method: 'get',
  path: '/openapi.json',
  summary: 'This description',
  tags: ['description'],
  security: [],
  responses: {
    200: {
      description: 'OpenAPI 3.1',
      content: { 'application/json': { schema: z.record(z.string(), z.unknown()) } },
    },
  },
})

/** `GET /openapi.json`, without a key. @param routes every route module that is mounted beside it */
export function createOpenApiRoutes(version: string, routes: readonly Api[]): Api {
  const api = createRouter()
  api.openAPIRegistry.registerPath(openApiRoute)
  const text = JSON.stringify(openApiDocument(version, [...routes, api]))
  api.get('/openapi.json', (c) => c.body(text, 200, { 'content-type': 'application/json' }))
  return api
}

/** One document of all route modules: what each describes, and what is the same for every route. */
function openApiDocument(version: string, routes: readonly Api[]): OpenApiDocument {
  const all = createRouter()
  for (const one of routes) all.route('/', one)
  all.openAPIRegistry.register('Problem', problemShape)
  all.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key. The key decides the tenant; the scope that a route needs stands with it.',
  })
  const generated = all.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Tallyman',
      version,
      description: DESCRIPTION,
      license: { name: 'Apache License 2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    security: [{ bearer: [] }],
  }) as unknown as OpenApiDocument
  const scopes = scopesOf(routes)
  const paths = Object.entries(generated.paths).map(
    ([path, operations]): [string, Record<string, Operation>] => [
      path,
      Object.fromEntries(
        Object.entries(operations).map(([method, operation]) => [
          method,
          describeOperation(method, path, operation, scopes.get(routeName(method, path))),
        ]),
      ),
    ],
  )
  return { ...generated, paths: Object.fromEntries(paths.sort(([a], [b]) => (a < b ? -1 : 1))) }
}

/** The scope that the middleware of each route asks for. */
function scopesOf(routes: readonly Api[]): ReadonlyMap<string, string> {
  const scopes = new Map<string, string>()
  for (const { method, path, handler } of routes.flatMap((one) => one.routes)) {
    const scope = scopeOf(handler)
    if (scope !== undefined) scopes.set(routeName(method, path), scope)
  }
  return scopes
}

/**
 * One name for a route as it is described and as it is routed: `get /v1/invoices/{}` for `{id}`, `{id}.pdf` and
 * `:document`, which are one route, for a router cannot tell them apart.
 */
export function routeName(method: string, path: string): string {
  return `${method.toLowerCase()} ${path.replace(/:\w+/g, '{}').replace(/\{[^}]*\}[^/]*/g, '{}')}`
}
