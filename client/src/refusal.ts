/** Why an event was not taken by this client. The first group says what is wrong with the event, with the server's names. */
export type LocalRefusalCode =
  | 'notAnObject'
  | 'invalidId'
  | 'invalidType'
  | 'invalidSubject'
  | 'invalidTime'
  | 'unsupportedData'
  | 'forbiddenKey'
  | 'invalidKey'
  | 'tooDeep'
  | 'tooManyProperties'
  | 'ambiguousKey'
  | 'unsafeNumber'
  | 'valueTooLong'
  | 'invalidText'
  | 'eventTooLarge'
  // There was no room, or the client was closed: the event itself is fine.
  | 'bufferFull'
  | 'spoolFull'
  | 'closed'
  // Taken, and given up for newer ones because `whenFull` is 'dropOldest'.
  | 'dropped'

export interface Refusal {
  readonly code: LocalRefusalCode
  /** What is wrong and what to do, for a person who reads it in a log. */
  readonly detail: string
  /** JSON pointer into the event, where one place is at fault. */
  readonly pointer?: string
}

export function refusal(code: LocalRefusalCode, detail: string, pointer?: string): Refusal {
  return pointer === undefined ? { code, detail } : { code, detail, pointer }
}
