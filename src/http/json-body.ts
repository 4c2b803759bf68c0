import { isUtf8 } from 'node:buffer'
import type { Context } from 'hono'
import type { ApiEnv } from './api.ts'
import { readBoundedBody } from './bounded-body.ts'
import { ProblemError } from './problem.ts'

/** Largest JSON body of the control plane: a customer with all the subjects it may have, an array of requests to rate. */
export const JSON_BODY_BYTES_MAX = 5_242_880

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i
/** In what JSON.stringify wrote: U+0000, which PostgreSQL cannot keep, or half of a surrogate pair, which UTF-8 cannot say. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

/**
 * Reads the body of a control-plane request, once and bounded, and checks that it is JSON before anything looks into it:
 * 413 too large, 415 another media type or content encoding, 400 no UTF-8, no JSON, or text that cannot be stored. The
 * value stands in `c.get('json')`, undefined where there is no body; `c.req.json()` and `c.req.text()` go on working.
 */
export async function readJsonBody(c: Context<ApiEnv>): Promise<void> {
  const { method } = c.req
  if (method === 'GET' || method === 'HEAD') return
  const bytes = await bodyBytes(c)
  const headers = new Headers(c.req.raw.headers)
  if (bytes.length === 0) {
    // A client's library names the media type of a body that it does not send.
    headers.delete('content-type')
    c.req.raw = new Request(c.req.url, { method, headers })
    return
  }
  requireMediaType(headers)
  if (!isUtf8(bytes)) throw malformed('The body is not valid UTF-8.')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  c.set('json', parse(text))
  c.req.raw = new Request(c.req.url, { method, headers, body: text })
  c.req.bodyCache = {}
}

/** The body of a request that must have one. @throws ProblemError 400 */
export function requiredJson(c: Context<ApiEnv>): unknown {
  const value = c.get('json')
  if (value === undefined) throw malformed('The body is missing.')
  return value
}

/** What another middleware has read already is not there to be read again. */
async function bodyBytes(c: Context<ApiEnv>): Promise<Uint8Array> {
  if (c.req.raw.bodyUsed || Object.keys(c.req.bodyCache).length > 0) return Buffer.from(await c.req.text())
  return readBoundedBody(c, JSON_BODY_BYTES_MAX)
}

function requireMediaType(headers: Headers): void {
  const type = headers.get('content-type')
  if (type === null || !JSON_TYPE.test(type)) {
    throw new ProblemError({
      status: 415,
      code: 'unsupportedMediaType',
      title: 'The media type is not read',
      detail: `The body must be JSON with "Content-Type: application/json"; it is ${type === null ? 'of no stated type' : JSON.stringify(type.slice(0, 100))}.`,
      headers: { accept: 'application/json' },
    })
  }
  const encoding = headers.get('content-encoding')
  if (encoding !== null && encoding.toLowerCase() !== 'identity') {
    throw new ProblemError({
      status: 415,
      code: 'unsupportedEncoding',
      title: 'The content encoding is not read',
      detail: `The body must not be packed; it is ${JSON.stringify(encoding.slice(0, 100))}. Only POST /v1/events reads packed bodies.`,
      headers: { 'accept-encoding': 'identity' },
    })
  }
}

function parse(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    // The parser quotes what it met; a client's data has no place in long error texts.
    throw malformed(`The body is not JSON: ${(error as Error).message.slice(0, 200)}.`)
  }
  if (text.includes('\\u') && UNSTORABLE.test(JSON.stringify(value))) {
    throw new ProblemError({
      status: 400,
      code: 'invalidText',
      title: 'The body has text that cannot be kept',
      detail: 'Text must not have the character U+0000 or half of a surrogate pair.',
    })
  }
  return value
}

function malformed(detail: string): ProblemError {
  return new ProblemError({ status: 400, code: 'malformedJson', title: 'The body is not JSON', detail })
}
