import { setTimeout as pause } from 'node:timers/promises'

/** Asks again until the answer is the wanted one; fails with the last answer after the limit. For what other processes do in their own time. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  wanted: (answer: T) => boolean,
  limitMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const answer = await ask()
    if (wanted(answer)) return answer
    if (performance.now() > deadline)
      throw new Error(`not within ${limitMs} ms; the last answer was ${JSON.stringify(answer)}`)
    await pause(20)
  }
}
