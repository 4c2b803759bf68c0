import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Watchdog } from '../../src/log/kafka/watchdog.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

it('L8: tells once of a loop that gives no sign of life, by name', () => {
  const stalls: string[] = []
  const watchdog = new Watchdog(100, ({ message }) => stalls.push(message))
  const [busy, stuck] = [watchdog.watch('busy'), watchdog.watch('stuck')]
  stuck.alive('a fetch', 1000)
  for (let i = 0; i < 20; i++) {
    busy.alive('a fetch', 1000)
    vi.advanceTimersByTime(100)
  }
  expect(stalls).toHaveLength(1)
  expect(stalls[0]).toContain('stuck: a fetch has not ended within 1000 ms')
  watchdog.stop()
})

it('says nothing of a loop that rests', () => {
  const stalls: string[] = []
  const watchdog = new Watchdog(100, ({ message }) => stalls.push(message))
  const life = watchdog.watch('loop')
  life.alive('a fetch', 1000)
  life.rest()
  vi.advanceTimersByTime(10_000)
  expect(stalls).toEqual([])
  watchdog.stop()
})

it('does not blame the loops when the whole process stood still', () => {
  const stalls: string[] = []
  const watchdog = new Watchdog(100, ({ message }) => stalls.push(message))
  watchdog.watch('loop').alive('a fetch', 1000)
  vi.advanceTimersByTime(100)
  const standstill = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000)
  vi.advanceTimersByTime(100)
  expect(stalls).toEqual([])
  standstill.mockRestore()
  watchdog.stop()
})
