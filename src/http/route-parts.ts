import { z } from '@hono/zod-openapi'
import { isResourceKey, RESOURCE_KEY_RULE } from '../id/resource-key.ts'
import { formatInstant, type Instant } from '../time/instant.ts'
import type { Api } from './api.ts'
import { type Fault, ProblemError } from './problem.ts'

/** A JSON answer in a route's description. */
export function answer<Shape extends z.ZodType>(schema: Shape, description: string) {
  return { description, content: { 'application/json': { schema } } }
}

/**
 * A JSON body that is described by a schema but read by a parser of its own, which knows more than a schema can say:
 * every fault in one pass, exact decimals, unknown members.
 */
export function describedBody(api: Api, name: string, schema: z.ZodType, required = true) {
  api.openAPIRegistry.register(name, schema)
  return {
    body: {
      required,
      content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } },
    },
  }
}

const resourceKeyText = z.string().refine(isResourceKey, `must be ${RESOURCE_KEY_RULE}`)

/** The key of a resource in the path. */
export const keyParam = z.object({ key: resourceKeyText.openapi({ example: 'output-tokens' }) })
/** An id that we made, in the path. */
export const idParam = z.object({ id: resourceKeyText })
/** A resource named by a query parameter. */
export const keyFilter = resourceKeyText.optional()

export const instantShape = z.string().openapi({ format: 'date-time', example: '2026-03-01T00:00:00Z' })

export function instantOrNull(instant: Instant | null): string | null {
  return instant === null ? null : formatInstant(instant)
}

/** What a parser found wrong with a body. */
export function invalidRequest(faults: readonly Fault[]): ProblemError {
  return refusal(400, 'invalidRequest', 'The request is not valid', faults)
}

/** A refusal whose detail is that of its faults. */
export function refusal(
  status: 400 | 409 | 422,
  code: string,
  title: string,
  faults: readonly Fault[],
  extra?: Readonly<Record<string, unknown>>,
): ProblemError {
  const errors = faults.map(({ pointer, detail }) => ({ pointer, detail }))
  const detail = errors.map((fault) => `${fault.pointer || 'The body'} ${fault.detail}`).join('; ')
  return new ProblemError({ status, code, title, detail, errors, ...(extra === undefined ? {} : { extra }) })
}

export function notFound(code: string, what: string, detail: string): ProblemError {
  return new ProblemError({ status: 404, code, title: `No such ${what}`, detail })
}
