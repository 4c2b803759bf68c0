import type { LocalGateOutcome } from '../../provision/local-gate.ts'
import { questionOf, readRequirement, type RequestHeaders } from '../gate/question.ts'
import { callerHeaders } from '../gate/told.ts'
import type { GateDeps } from '../gate/gate-deps.ts'
import { checkOrUnavailable, misconfigured, requestIdOf, type Told } from '../gate/check.ts'
import { bytesField, bytesOf, fieldsOf, messageOf, pairOf, textField, varintField } from './protobuf.ts'
import type { UnaryCall } from './server.ts'

export const EXT_AUTHZ_CHECK = '/envoy.service.auth.v3.Authorization/Check'

/** What a decision needs of `envoy.service.auth.v3.CheckRequest`. */
interface CheckRequest {
  readonly headers: RequestHeaders
  /** The proxy's own settings of the route, which no caller can write. */
  readonly extensions: readonly (readonly [string, string])[]
}

/**
 * `Check` of Envoy's external authorization, version 3. What a route needs stands in its `context_extensions`:
 * `permission` and `cost.QUOTA`. A refusal comes as the answer itself, with its status, headers and body.
 */
export function createExtAuthz(deps: GateDeps): UnaryCall {
  return async (message) => {
    const { headers, extensions } = readCheck(message)
    const requestId = requestIdOf(headers) ?? deps.newRequestId()
    const needed = readRequirement(extensions)
    if (needed.kind === 'fault') return answered(denied(misconfigured(needed.detail), requestId))
    const question = questionOf(headers, needed.requirement, deps.keyHeader)
    const outcome = await checkOrUnavailable(deps, question, requestId)
    const { status, headers: told, problem } = outcome.answer
    if (outcome.isAllowed) return answered(allowed(outcome))
    return answered(denied({ status, headers: told, body: JSON.stringify(problem) }, requestId))
  }
}

function answered(message: Buffer): { readonly kind: 'message'; readonly message: Buffer } {
  return { kind: 'message', message }
}

/** CheckRequest.attributes = 1; AttributeContext.request = 4, context_extensions = 10; Request.http = 2; HttpRequest.headers = 3. */
function readCheck(message: Buffer): CheckRequest {
  const attributes = bytesOf(message, 1) ?? Buffer.alloc(0)
  const extensions: (readonly [string, string])[] = []
  let request = Buffer.alloc(0)
  for (const field of fieldsOf(attributes)) {
    if (field.kind !== 'bytes') continue
    if (field.number === 4) request = field.bytes as typeof request
    else if (field.number === 10) extensions.push(pairOf(field.bytes))
  }
  const http = bytesOf(request, 2) ?? Buffer.alloc(0)
  const headers = new Map<string, string>()
  for (const field of fieldsOf(http)) {
    if (field.kind !== 'bytes' || field.number !== 3) continue
    const [name, value] = pairOf(field.bytes)
    headers.set(name, value)
  }
  return { headers: Object.fromEntries(headers), extensions }
}

/** CheckResponse: status = 1, denied_response = 2, ok_response = 3. Codes are those of gRPC. */
const OK_STATUS = bytesField(1, Buffer.alloc(0))
const PERMISSION_DENIED_STATUS = bytesField(1, varintField(1, 7))

/** OkHttpResponse: headers = 2, headers_to_remove = 5, response_headers_to_add = 6. */
function allowed(outcome: LocalGateOutcome): Buffer {
  const caller = Object.entries(callerHeaders(outcome))
  const response = messageOf(
    ...caller.flatMap(([name, value]) => (value === '' ? [] : [bytesField(2, headerOption(name, value))])),
    ...caller.flatMap(([name, value]) => (value === '' ? [textField(5, name)] : [])),
    ...Object.entries(outcome.answer.headers).map(([name, value]) =>
      bytesField(6, headerOption(name, value)),
    ),
  )
  return messageOf(OK_STATUS, bytesField(3, response))
}

/** DeniedHttpResponse: status = 1 (HttpStatus.code = 1), headers = 2, body = 3. */
function denied({ status, headers, body }: Told, requestId: string): Buffer {
  const told = { ...headers, 'content-type': 'application/problem+json', 'x-request-id': requestId }
  const response = messageOf(
    bytesField(1, varintField(1, status)),
    ...Object.entries(told).map(([name, value]) => bytesField(2, headerOption(name, value))),
    textField(3, body),
  )
  return messageOf(PERMISSION_DENIED_STATUS, bytesField(2, response))
}

/** HeaderValueOption: header = 1 (key = 1, value = 2), append_action = 3. */
function headerOption(name: string, value: string): Buffer {
  const header = messageOf(textField(1, name), textField(2, value))
  return messageOf(bytesField(1, header), varintField(3, OVERWRITE_IF_EXISTS_OR_ADD))
}

const OVERWRITE_IF_EXISTS_OR_ADD = 2
