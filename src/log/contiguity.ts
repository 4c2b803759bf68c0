import { LogError, type LogRecord } from '../usage/event-log.ts'

/**
 * Asserts that records follow each other without a hole, from `expected` on. A hole means that acknowledged
 * records are gone (retention overtook the reader, a lost disk, a topic made anew), which reading again cannot mend.
 * @throws LogError `gap`
 */
export function assertContiguous(
  topic: string,
  partition: number,
  expected: number,
  records: readonly Pick<LogRecord, 'offset'>[],
): void {
  let next = expected
  for (const { offset } of records) {
    if (offset !== next) {
      throw new LogError(
        'gap',
        `${topic} partition ${partition}: offset ${next} should follow and ${offset} came. Records are missing or repeated; nothing after them may be counted until an operator has looked.`,
        { retryable: false },
      )
    }
    next++
  }
}

/** @throws LogError `outOfRange` when there is nothing to be read at `offset` and never will be */
export function assertReadable(
  topic: string,
  partition: number,
  offset: number,
  range: { readonly start: number; readonly end: number },
): void {
  if (Number.isSafeInteger(offset) && offset >= range.start && offset <= range.end) return
  const what =
    offset < range.start
      ? 'Retention has removed what comes next: restore it from a backup, or decide that it is lost.'
      : 'The log ends before it: the log was restored to an older state, or the position belongs to another log.'
  throw new LogError(
    'outOfRange',
    `${topic} partition ${partition}: position ${offset} is not within [${range.start}, ${range.end}]. ${what}`,
    { retryable: false },
  )
}
