/**
 * Why one event is rejected, in the order in which it is judged: an event with several faults is answered with
 * the first of them in this list. The order is part of the contract.
 */
export const REJECTION_CODES = [
  'notAnObject',
  'invalidExtension',
  'unsupportedSpecVersion',
  'missingId',
  'invalidId',
  'missingSource',
  'invalidSource',
  'missingType',
  'invalidType',
  'missingSubject',
  'invalidSubject',
  'invalidTime',
  'tooOld',
  'inFuture',
  'unsupportedData',
  'forbiddenKey',
  'invalidKey',
  'tooDeep',
  'tooManyProperties',
  'ambiguousKey',
  'unsafeNumber',
  'valueTooLong',
  'eventTooLarge',
  'invalidText',
] as const
export type RejectionCode = (typeof REJECTION_CODES)[number]

/** Bounds of one event; lengths are in UTF-16 code units. */
export const EVENT_LIMITS = {
  idCharsMax: 512,
  sourceCharsMax: 1024,
  typeCharsMax: 255,
  subjectCharsMax: 255,
  depthMax: 8,
  propertiesMax: 64,
  pathCharsMax: 255,
  valueCharsMax: 65_536,
  /** As it stands on the log. */
  eventBytesMax: 131_072,
  acceptPastMs: 35 * 86_400_000,
  acceptAheadMs: 5 * 60_000,
} as const

const L = EVENT_LIMITS

/** What is wrong and what to do, for a person who reads the answer in a log. */
export const REJECTION_DETAILS: Readonly<Record<RejectionCode, string>> = {
  notAnObject: 'An event must be a JSON object.',
  invalidExtension:
    'Attribute names are lower-case letters and digits only (CloudEvents 1.0); usage belongs in "data".',
  unsupportedSpecVersion: '"specversion" must be "1.0".',
  missingId: '"id" is missing. It must be unique per source, and the same when the event is sent again.',
  invalidId: `"id" must be text of 1 to ${L.idCharsMax} characters without control characters.`,
  missingSource: '"source" is missing. It names the emitting service, as a URI reference.',
  invalidSource: `"source" must be a URI reference of 1 to ${L.sourceCharsMax} characters, such as "/checkout" or "urn:gateway:eu-1".`,
  missingType: '"type" is missing. Meters select events by it.',
  invalidType: `"type" must be text of 1 to ${L.typeCharsMax} characters without control characters, and must not begin with "__".`,
  missingSubject: '"subject" is missing. It says who used, and so who pays.',
  invalidSubject: `"subject" must be text of 1 to ${L.subjectCharsMax} characters without control characters.`,
  invalidTime:
    '"time" must be RFC 3339 text such as "2026-03-01T12:00:00Z"; left out, it is the time of arrival.',
  tooOld: '"time" is more than 35 days back. Older usage is imported with the import command.',
  inFuture: `"time" is more than 5 minutes ahead of the customer's clock.`,
  unsupportedData:
    '"data" must be a JSON object (datacontenttype application/json) or absent; "data_base64" is not read.',
  forbiddenKey: 'A key of "data" is "__proto__", "constructor" or "prototype".',
  invalidKey: `A key of "data" is empty, has control characters, or its dotted path is longer than ${L.pathCharsMax} characters.`,
  tooDeep: `"data" is nested deeper than ${L.depthMax} levels.`,
  tooManyProperties: `"data" has more than ${L.propertiesMax} keys.`,
  ambiguousKey: 'Two keys of "data" have the same dotted path, such as {"a.b": 1, "a": {"b": 2}}.',
  unsafeNumber:
    'A number of "data" has more digits than JSON numbers carry safely (15 significant digits, below 2^53). Send it as a string: "12345678901234567890.5".',
  valueTooLong: `A text or array of "data" is longer than ${L.valueCharsMax} characters.`,
  eventTooLarge: `The event takes more than ${L.eventBytesMax} bytes on the log.`,
  invalidText: 'A text holds half of a surrogate pair, which UTF-8 cannot carry.',
}
