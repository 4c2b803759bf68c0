import { QUESTIONS } from './idempotency.ts'

interface Parameter {
  readonly name: string
  readonly in: string
  readonly [member: string]: unknown
}

interface Response {
  readonly description: string
  readonly content?: Readonly<Record<string, unknown>>
}

/** An operation of OpenAPI, as far as it is looked at here. */
export interface Operation {
  readonly operationId?: string
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: unknown
  readonly responses: Readonly<Record<string, Response>>
  readonly [member: string]: unknown
}

const PROBLEM = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }

const IDEMPOTENCY_KEY: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A repeat with the same key and body gets the first answer, with "idempotency-replayed: true"; with another body 422.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
}

/**
 * An operation with what no route module says for itself: its id, its scope, the Idempotency-Key of writes, and the
 * refusals that every route of its kind has, each as a problem.
 */
export function describeOperation(
  method: string,
  path: string,
  operation: Operation,
  scope: string | undefined,
): Operation {
  const isPublic = operation.security?.length === 0
  const isControl = scope !== undefined
  const responses = {
    ...operation.responses,
    ...(isPublic
      ? {}
      : missing(operation, { 401: 'No key, or none that is known', 403: 'The key lacks the scope' })),
    ...(isControl && operation.requestBody !== undefined
      ? missing(operation, {
          400: 'The body is not JSON, or not valid',
          413: 'The body is too large',
          415: 'The body is not application/json',
        })
      : {}),
    ...missing(operation, { default: 'Any other refusal, or a fault of ours' }),
  }
  const parameters = [
    ...(operation.parameters ?? []),
    ...(isControl && takesIdempotencyKey(method, path, operation) ? [IDEMPOTENCY_KEY] : []),
  ]
  return {
    operationId: operationId(method, path),
    ...operation,
    ...(scope === undefined ? {} : { security: [{ bearer: [scope] }] }),
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, response]) => [
        status,
        isRefusal(status) && response.content === undefined ? { ...response, content: PROBLEM } : response,
      ]),
    ),
  }
}

function missing(
  { responses }: Operation,
  more: Readonly<Record<string, string>>,
): Readonly<Record<string, Response>> {
  return Object.fromEntries(
    Object.entries(more)
      .filter(([status]) => responses[status] === undefined)
      .map(([status, description]) => [status, { description }]),
  )
}

function isRefusal(status: string): boolean {
  return status === 'default' || /^[45]/.test(status)
}

function takesIdempotencyKey(method: string, path: string, { parameters = [] }: Operation): boolean {
  return (
    method !== 'get' &&
    !QUESTIONS.has(path) &&
    !parameters.some(({ name }) => name.toLowerCase() === 'idempotency-key')
  )
}

/** `post /v1/subscriptions/{id}/cancel` → `postSubscriptionsByIdCancel`: generators name functions by it. */
function operationId(method: string, path: string): string {
  const parts = path
    .split(/[/.-]/)
    .filter((part) => part !== '' && part !== 'v1')
    .map((part) => (part.startsWith('{') ? `By${capital(part.slice(1, -1))}` : capital(part)))
  return method + parts.join('')
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1).replace(/[^A-Za-z0-9]/g, '')
}
