import {
  ARRAY,
  END,
  FALSE,
  isText,
  JsonTape,
  nextValue,
  NULL,
  NUMBER,
  OBJECT,
  PLAIN_NUMBER,
  STRIDE,
  TRUE,
} from './json-tape.ts'
import { readJson } from './json.ts'
import { type Refusal, refused } from './refusal.ts'

/** A JSON value that keeps numbers as they were spelled. Objects are maps: no key can mean anything to JavaScript. */
export type ExactJson = null | boolean | string | ExactNumber | readonly ExactJson[] | ExactObject
export type ExactObject = ReadonlyMap<string, ExactJson>

export class ExactNumber {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Reads a body for which bytes are not worth the trouble. A key that stands twice in one object is refused. */
export function readExactJson(
  body: Uint8Array,
): { readonly kind: 'json'; readonly value: ExactJson } | Refusal {
  const tape = new JsonTape()
  const refusal = readJson(body, tape)
  if (refusal !== null) return refusal
  try {
    return { kind: 'json', value: exactValue(tape, 0) }
  } catch (error) {
    if (error instanceof DuplicateKey) return refused('malformedJson', error.message)
    throw error
  }
}

export function isExactObject(value: ExactJson | undefined): value is ExactObject {
  return value instanceof Map
}

export function writeExactJson(value: ExactJson): string {
  if (value instanceof ExactNumber) return value.text
  if (value instanceof Map) {
    const members = [...(value as ExactObject)].map(
      ([key, member]) => `${JSON.stringify(key)}:${writeExactJson(member)}`,
    )
    return `{${members.join(',')}}`
  }
  if (Array.isArray(value)) return `[${(value as readonly ExactJson[]).map(writeExactJson).join(',')}]`
  return JSON.stringify(value)
}

/** The value on the tape as JSON.parse would give it, for libraries that want such values. Forbidden keys must be out. */
export function plainValue(tape: JsonTape, at: number): unknown {
  const { words } = tape
  switch (words[at]) {
    case OBJECT: {
      const object: Record<string, unknown> = {}
      for (let keyAt = at + STRIDE; words[keyAt] !== END; keyAt = nextValue(words, keyAt + STRIDE)) {
        object[tape.text(keyAt)] = plainValue(tape, keyAt + STRIDE)
      }
      return object
    }
    case ARRAY: {
      const items: unknown[] = []
      for (let child = at + STRIDE; words[child] !== END; child = nextValue(words, child)) {
        items.push(plainValue(tape, child))
      }
      return items
    }
    default:
      return scalar(tape, at, Number)
  }
}

class DuplicateKey extends Error {}

function exactValue(tape: JsonTape, at: number): ExactJson {
  const { words } = tape
  switch (words[at]) {
    case OBJECT: {
      const object = new Map<string, ExactJson>()
      for (let keyAt = at + STRIDE; words[keyAt] !== END; keyAt = nextValue(words, keyAt + STRIDE)) {
        const key = tape.text(keyAt)
        if (object.has(key)) {
          throw new DuplicateKey(
            `The body has the key ${JSON.stringify(key.slice(0, 100))} twice in one object.`,
          )
        }
        object.set(key, exactValue(tape, keyAt + STRIDE))
      }
      return object
    }
    case ARRAY: {
      const items: ExactJson[] = []
      for (let child = at + STRIDE; words[child] !== END; child = nextValue(words, child)) {
        items.push(exactValue(tape, child))
      }
      return items
    }
    default:
      return scalar(tape, at, (text) => new ExactNumber(text))
  }
}

function scalar<N>(tape: JsonTape, at: number, numberOf: (text: string) => N): N | string | boolean | null {
  const kind = tape.words[at]
  if (isText(kind)) return tape.text(at)
  switch (kind) {
    case PLAIN_NUMBER:
    case NUMBER:
      return numberOf(tape.spelling(at))
    case TRUE:
      return true
    case FALSE:
      return false
    case NULL:
      return null
    default:
      throw new Error('no value begins here')
  }
}
