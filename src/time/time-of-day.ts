/** A time on the clock of a day, in minutes after midnight: 0 to 1440, where 1440 is the midnight at its end. */
export type MinuteOfDay = number

/** A span of every day, half-open: `end` does not belong to it. Where it begins later than it ends, it goes over midnight. */
export interface DaySpan {
  readonly start: MinuteOfDay
  readonly end: MinuteOfDay
}

/** Reads `09:30`; `24:00` is the end of the day. Null when it is no such time. */
export function parseMinuteOfDay(text: string): MinuteOfDay | null {
  const m = /^(\d{2}):(\d{2})$/.exec(text)
  if (m === null) return null
  const [hour, minute] = [Number(m[1]), Number(m[2])]
  if (minute > 59 || hour > 24 || (hour === 24 && minute > 0)) return null
  return hour * 60 + minute
}

/** A span that begins when it ends is empty. */
export function isInDaySpan({ start, end }: DaySpan, at: MinuteOfDay): boolean {
  return start <= end ? at >= start && at < end : at >= start || at < end
}
