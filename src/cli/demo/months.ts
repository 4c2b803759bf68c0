import { CliFailure } from '../failure.ts'

/** Half-open, RFC 3339 in UTC, and where the test clock stands while the month's events are sent. */
export interface DemoMonth {
  /** `2023-11` */
  readonly month: string
  readonly start: string
  readonly end: string
  /** One hour before the end: the whole month lies in the accept window of 35 days. */
  readonly sendAt: string
  /** Two hours after the end: the month and its grace are over. */
  readonly closeAt: string
}

const HOUR_MS = 3_600_000
const MONTHS_MAX = 120

const rfc3339 = (epochMs: number): string => new Date(epochMs).toISOString().replace('.000Z', 'Z')

/** Every month from the first to the last, those without events included: each of them is billed. */
export function monthsBetween(first: string, last: string): readonly DemoMonth[] {
  const [year = 0, number = 1] = first.split('-').map(Number)
  const months: DemoMonth[] = []
  for (let n = number - 1; ; n++) {
    const start = Date.UTC(year, n, 1)
    const end = Date.UTC(year, n + 1, 1)
    const month = new Date(start).toISOString().slice(0, 7)
    months.push({
      month,
      start: rfc3339(start),
      end: rfc3339(end),
      sendAt: rfc3339(end - HOUR_MS),
      closeAt: rfc3339(end + 2 * HOUR_MS),
    })
    if (month >= last) return months
    if (months.length >= MONTHS_MAX) {
      throw new CliFailure(
        `The trace reaches from ${first} to ${last}; the demo bills at most ${MONTHS_MAX} months. Is a timestamp wrong?`,
      )
    }
  }
}
