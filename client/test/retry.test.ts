import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FULL_PACE, halted, inFlightMaxAt, slower } from '../src/pace.ts'
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
  it('slows down once for all requests that fail in one pause, and lets one find out whether it is over', () => {
    const first = slower(FULL_PACE, POLICY, 1000, null, 0.5)
    expect(first).toEqual({ failures: 1, resumeAtMs: 1250 })
    expect(slower(first, POLICY, 1100, null, 0.9)).toEqual(first)
    expect(slower(first, POLICY, 1250, null, 0.5)).toEqual({ failures: 2, resumeAtMs: 1750 })
    expect(inFlightMaxAt(FULL_PACE, 4)).toBe(4)
    expect(inFlightMaxAt(first, 4)).toBe(1)
  })

  it('takes a Retry-After from whichever request brings it, and never comes back earlier', () => {
    const first = slower(FULL_PACE, POLICY, 1000, 5000, 0)
    expect(slower(first, POLICY, 1500, 10_000, 0)).toEqual({ failures: 1, resumeAtMs: 11_500 })
    expect(slower(first, POLICY, 1500, 1, 0)).toEqual(first)
    expect(halted(first, 60_000, 2000)).toEqual({ failures: 2, resumeAtMs: 62_000 })
  })
})
