/** Seconds of the parts of a run, rounded to hundredths. */
export interface Stopwatch {
  /** Ends a lap and adds it to the laps of its name. Returns this lap's seconds. */
  lap(name: string): number
  all(): Readonly<Record<string, number>>
}

export function createStopwatch(now: () => number): Stopwatch {
  const startedAt = now()
  const laps = new Map<string, number>()
  let since = startedAt
  const rounded = (ms: number): number => Math.round(ms / 10) / 100
  return {
    lap: (name) => {
      const ms = now() - since
      since += ms
      laps.set(name, (laps.get(name) ?? 0) + ms)
      return rounded(ms)
    },
    all: () => ({
      ...Object.fromEntries([...laps].map(([name, ms]) => [name, rounded(ms)])),
      total: rounded(now() - startedAt),
    }),
  }
}
