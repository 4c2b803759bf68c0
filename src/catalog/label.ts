import { isResourceKey, RESOURCE_KEY_RULE } from '../id/resource-key.ts'
import { type JsonObject, type JsonReader, member } from './json-reader.ts'

/** Controls end up in file names, logs and documents, where they do harm. */
const CONTROL = /\p{Cc}/u

/** Text for people: not blank, on one line. */
export function readLabel(
  reader: JsonReader,
  object: JsonObject,
  key: string,
  pointer: string,
  charsMax: number,
): string {
  const faultsBefore = reader.faults.length
  const text = reader.text(object, key, pointer)
  if (reader.faults.length === faultsBefore) requireLabel(reader, text, member(pointer, key), charsMax)
  return text
}

/** As `readLabel`; null when the member is absent or null. */
export function readOptionalLabel(
  reader: JsonReader,
  object: JsonObject,
  key: string,
  pointer: string,
  charsMax: number,
): string | null {
  if (object[key] === undefined || object[key] === null) return null
  return readLabel(reader, object, key, pointer, charsMax)
}

export function requireLabel(reader: JsonReader, text: string, pointer: string, charsMax: number): void {
  if (text.trim() !== '' && text.length <= charsMax && !CONTROL.test(text)) return
  reader.fault(
    'invalidRequest',
    pointer,
    `must have 1 to ${charsMax} characters, none of them a control character`,
  )
}

/** The key of a resource: of the one that is written, or of one that it names. */
export function readKey(reader: JsonReader, object: JsonObject, key: string, pointer: string): string {
  const faultsBefore = reader.faults.length
  const text = reader.text(object, key, pointer)
  if (reader.faults.length === faultsBefore && !isResourceKey(text)) {
    reader.fault('invalidRequest', member(pointer, key), `must be ${RESOURCE_KEY_RULE}`)
  }
  return text
}

/** One of a closed list of words; null with a fault when it is none. */
export function readChoice<T extends string>(
  reader: JsonReader,
  object: JsonObject,
  key: string,
  pointer: string,
  choices: readonly T[],
): T | null {
  const choice = choices.find((known) => known === object[key])
  if (choice !== undefined) return choice
  reader.fault(
    'invalidRequest',
    member(pointer, key),
    object[key] === undefined ? 'is missing' : `must be one of ${choices.join(', ')}`,
  )
  return null
}
