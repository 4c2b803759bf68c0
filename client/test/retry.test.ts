import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FULL_PACE, halted, hastened, inFlightMaxAt, type Pace, slower } from '../src/pace.ts'
import { parseRetryAfter, retryPauseMs } from '../src/retry.ts'

const POLICY = { retryBaseMs: 500, retryPauseMsMax: 30_000, retryAfterMsMax: 300_000 }
const almostOne = 1 - Number.EPSILON

describe('retryPauseMs', () => {
  it('doubles its bound with every failure, up to the most', () => {
    const bounds = [1, 2, 3, 6, 7, 8, 5000].map((failures) => retryPauseMs(POLICY, failures, null, almostOne))
    expect(bounds).toEqual([499, 999, 1999, 15_999, 29_999, 29_999, 29_999])
  })

  it('is anything from nothing to its bound, and never before Retry-After', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.option(fc.integer({ min: 0, max: 10 ** 9 })),
        fc.double({ min: 0, max: almostOne, noNaN: true }),
        (failures, retryAfterMs, random) => {
          const least = Math.min(retryAfterMs ?? 0, POLICY.retryAfterMsMax)
          const pauseMs = retryPauseMs(POLICY, failures, retryAfterMs, random)
          expect(Number.isSafeInteger(pauseMs)).toBe(true)
          expect(pauseMs).toBeGreaterThanOrEqual(least)
          expect(pauseMs).toBeLessThanOrEqual(least + POLICY.retryPauseMsMax)
        },
      ),
    )
  })
})

describe('parseRetryAfter', () => {
  const now = Date.UTC(2026, 2, 1, 12)
  it.each([
    ['0', 0],
    [' 120 ', 120_000],
    ['Sun, 01 Mar 2026 12:00:30 GMT', 30_000],
    ['Sun, 01 Mar 2026 11:00:00 GMT', 0],
    ['1.5', null],
    ['-3', null],
    ['soon', null],
    ['9999999999', null],
    ['', null],
    [null, null],
  ])('%j means %j ms', (header, expected) => {
    expect(parseRetryAfter(header, now)).toBe(expected)
  })
})

describe('pace', () => {
  const paused = (failures: number, resumeAtMs: number, askedUntilMs = 0): Pace => ({
    failures,
    resumeAtMs,
    askedUntilMs,
  })

  it('slows down once for all requests that fail in one pause, and lets one find out whether it is over', () => {
    const first = slower(FULL_PACE, POLICY, 1000, null, 0.5)
    expect(first).toEqual(paused(1, 1250))
    expect(slower(first, POLICY, 1100, null, 0.9)).toEqual(first)
    expect(slower(first, POLICY, 1250, null, 0.5)).toEqual(paused(2, 1750))
    expect(inFlightMaxAt(FULL_PACE, 4)).toBe(4)
    expect(inFlightMaxAt(first, 4)).toBe(1)
  })

  it('takes a Retry-After from whichever request brings it, and never comes back earlier', () => {
    const first = slower(FULL_PACE, POLICY, 1000, 5000, 0)
    expect(first).toEqual(paused(1, 6000, 6000))
    expect(slower(first, POLICY, 1500, 10_000, 0)).toEqual(paused(1, 11_500, 11_500))
    expect(slower(first, POLICY, 1500, 1, 0)).toEqual(first)
    expect(slower(FULL_PACE, POLICY, 1000, 10 ** 9, 0)).toEqual(paused(1, 301_000, 301_000))
    expect(halted(first, 60_000, 2000)).toEqual(paused(2, 62_000, 6000))
  })

  it('is hastened past its own pauses, not past what the server has asked for', () => {
    expect(hastened(FULL_PACE)).toEqual(FULL_PACE)
    expect(hastened(paused(9, 90_000))).toEqual(paused(1, 0))
    expect(hastened(paused(9, 90_000, 70_000))).toEqual(paused(1, 70_000, 70_000))
  })
})
