import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { readBinaryEvent } from './binary-mode.ts'
import { ARRAY, END, type JsonTape, nextValue, STRIDE } from './json-tape.ts'
import { readJson } from './json.ts'
import { bodyTooLarge, type Refusal, refused } from './refusal.ts'

/** The events on the tape: the first stands at `first`, the others behind it. */
export type Decoded = { readonly kind: 'events'; readonly first: number; readonly count: number } | Refusal

export type Unpacked = { readonly kind: 'bytes'; readonly bytes: Uint8Array } | Refusal

const DECODERS: Readonly<
  Record<string, (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Uint8Array>>
> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
}

/** Undoes Content-Encoding, never producing more than `bytesMax`: a bomb is stopped while it unfolds. */
export async function unpackBody(encoding: string, body: Uint8Array, bytesMax: number): Promise<Unpacked> {
  const name = encoding.trim().toLowerCase()
  if (name === '' || name === 'identity') return { kind: 'bytes', bytes: body }
  const decode = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined
  if (decode === undefined) {
    return refused(
      'unsupportedEncoding',
      `Content-Encoding ${JSON.stringify(name.slice(0, 40))} is not read; send gzip, deflate, br or none.`,
    )
  }
  try {
    return { kind: 'bytes', bytes: await decode(body, { maxOutputLength: bytesMax }) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return bodyTooLarge(bytesMax)
    return refused(
      'malformedEncoding',
      `The body is not what Content-Encoding ${name} says: ${(error as Error).message}.`,
    )
  }
}

/** How the body is to be read, by the rules of the CloudEvents HTTP binding. */
export type BodyMode = 'batch' | 'single' | 'binary' | 'objectOrArray'

/** The batch prefix must be tried first: it begins like the other. Null where nothing here reads such a body. */
export function bodyMode(
  contentType: string | undefined,
  hasBinaryAttributes: () => boolean,
): BodyMode | null {
  const type = contentType ?? ''
  // The exact forms that SDKs send, before any string is made.
  if (type === 'application/cloudevents-batch+json') return 'batch'
  if (type === 'application/cloudevents+json') return 'single'
  const media = (type.split(';', 1)[0] ?? '').trim().toLowerCase()
  if (media.startsWith('application/cloudevents-batch')) return media.endsWith('+json') ? 'batch' : null
  if (media.startsWith('application/cloudevents')) {
    return media === 'application/cloudevents' || media.endsWith('+json') ? 'single' : null
  }
  if (hasBinaryAttributes()) return 'binary'
  return media === 'application/json' ? 'objectOrArray' : null
}

/** Puts the events of a body onto the tape, not yet judged. `eventsMax` bounds a batch. */
export function decodeBody(
  mode: BodyMode,
  body: Uint8Array,
  contentType: string | undefined,
  headers: () => Readonly<Record<string, string>>,
  eventsMax: number,
  tape: JsonTape,
): Decoded {
  const refusal =
    mode === 'binary' ? readBinaryEvent(headers(), contentType, body, tape) : readJson(body, tape)
  if (refusal !== null) return refusal
  const { words } = tape
  const isArray = words[0] === ARRAY
  if (mode === 'single' || mode === 'binary' || (mode === 'objectOrArray' && !isArray)) {
    return { kind: 'events', first: 0, count: 1 }
  }
  if (!isArray) return refused('malformedBatch', 'A batch must be a JSON array of events.')
  let count = 0
  for (let at = STRIDE; words[at] !== END; at = nextValue(words, at)) count++
  if (count > eventsMax) {
    return refused('tooManyEvents', `A batch has at most ${eventsMax} events; this one has ${count}.`)
  }
  return { kind: 'events', first: STRIDE, count }
}
