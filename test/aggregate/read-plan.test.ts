import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { brokenBuckets, type BucketState, planOf } from '../../src/aggregate/rolled.ts'
import { instantOf } from '../../src/time/instant.ts'

const START = 1_800_000_000 // a whole hour
const hourOf = (bucket: number): number => bucket - (bucket % 3600)

/** Minutes with events, and which minutes and hours of them are clean. */
const states = fc
  .record({
    minutes: fc.uniqueArray(fc.integer({ min: 0, max: 60 * 100 }), { minLength: 1, maxLength: 400 }),
    random: fc.infiniteStream(fc.integer({ min: 0, max: 9 })),
  })
  .map(({ minutes, random }) => {
    const roll = (percent: number): boolean => Number(random.next().value) * 10 < percent
    const all = minutes.toSorted((a, b) => a - b).map((i) => START + i * 60)
    const hours = [...new Set(all.map(hourOf))].map((bucket): BucketState => ({
      bucket,
      sig: 7,
      clean: roll(50),
    }))
    const split = new Set(hours.filter(({ clean }) => !clean).map(({ bucket }) => bucket))
    const inSplit = all.filter((bucket) => split.has(hourOf(bucket)))
    return {
      all,
      hours,
      minutes: inSplit.map((bucket): BucketState => ({ bucket, sig: 9, clean: roll(50) })),
    }
  })

describe('the plan of a query', () => {
  it('reads every minute with events exactly once, and dirty ones from the events', () => {
    fc.assert(
      fc.property(states, ({ all, hours, minutes }) => {
        const none = { hours: new Set<number>(), minutes: new Set<number>() }
        const plan = planOf(hours, minutes, none)
        for (const minute of all) {
          const asHour = plan.hours.has(hourOf(minute)) ? 1 : 0
          const asMinute = plan.minutes.has(minute) ? 1 : 0
          const live = plan.live.filter(({ start, end }) => minute >= start && minute < end).length
          expect(asHour + asMinute + live).toBe(1)
        }
        const dirty = minutes.filter(({ clean }) => !clean)
        for (const { bucket } of dirty) {
          expect(plan.live.some(({ start, end }) => bucket >= start && bucket < end)).toBe(true)
        }
        expect(plan.live.length).toBeLessThanOrEqual(64)
      }),
    )
  })

  it('takes apart the buckets that a border of a window, of an owner or a new void lies in', () => {
    const at = (minutes: number, ms = 0) => instantOf((START + minutes * 60) * 1000 + ms)
    const interval = { start: at(0), end: at(600, 1) }
    const broken = brokenBuckets(
      {
        ...{ interval, windows: [interval] },
        owners: [{ subject: 's' as never, customer: 'c' as never, from: at(90), until: at(200, 500) }],
      },
      [START + 305 * 60],
    )
    expect([...broken.hours].map((hour) => (hour - START) / 3600).toSorted()).toEqual([1, 10, 3, 5])
    expect([...broken.minutes].map((minute) => (minute - START) / 60)).toEqual([305, 600, 200])
  })
})
