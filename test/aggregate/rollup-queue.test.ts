import { describe, expect, it } from 'vitest'
import { piecesOf, runsOf } from '../../src/aggregate/meter-rollups.ts'
import { RollupQueue } from '../../src/aggregate/rollup-queue.ts'

const MINUTE = 1_800_000_000 // seconds; divisible by 60
const END_MS = (MINUTE + 60) * 1000

describe('the queue of dirty minutes', () => {
  it('takes a minute two seconds after it closed, once', () => {
    const queue = new RollupQueue(60)
    queue.add(MINUTE, END_MS - 30_000)
    expect(queue.takeDue(END_MS + 1999, 10)).toEqual([])
    expect(queue.takeDue(END_MS + 2000, 10)).toEqual([MINUTE])
    expect(queue.takeDue(END_MS + 9000, 10)).toEqual([])
  })

  it('waits for a closed minute to be quiet, but not longer than half a minute', () => {
    const queue = new RollupQueue(60)
    const start = END_MS + 3_600_000
    for (let at = start; at < start + 29_000; at += 1000) {
      queue.add(MINUTE, at)
      expect(queue.takeDue(at + 500, 10)).toEqual([])
    }
    queue.add(MINUTE, start + 30_000)
    expect(queue.takeDue(start + 30_000, 10)).toEqual([MINUTE])
  })

  it('does not compute a minute again before ten times what it took', () => {
    const queue = new RollupQueue(60)
    const now = END_MS + 3_600_000
    queue.computed(MINUTE, now, 700)
    queue.add(MINUTE, now + 1)
    expect(queue.takeDue(now + 6999, 10)).toEqual([])
    expect(queue.takeDue(now + 7000, 10)).toEqual([MINUTE])
  })

  it('takes minutes of a test clock that lie in the future: nobody waits for them to close', () => {
    const queue = new RollupQueue(60)
    queue.add(MINUTE + 31_536_000, END_MS)
    expect(queue.takeDue(END_MS + 2000, 10)).toEqual([MINUTE + 31_536_000])
  })

  it('takes the oldest first, up to the bound', () => {
    const queue = new RollupQueue(60)
    for (const i of [5, 1, 3]) queue.add(MINUTE + i * 60, 0, true)
    expect(queue.takeDue(Infinity, 2)).toEqual([MINUTE + 60, MINUTE + 180])
    expect(queue.hasAny(MINUTE, MINUTE + 600, 60)).toBe(true)
    expect(queue.takeDue(Infinity, 2)).toEqual([MINUTE + 300])
    expect(queue.size).toBe(0)
  })
})

describe('runs and pieces', () => {
  it('a run lies within one month and has a bounded length', () => {
    const may = Date.UTC(2026, 4, 31, 23, 58) / 1000
    const runs = runsOf([may, may + 60, may + 120, may + 1440 * 60], 60, 1440)
    expect(runs.map(({ range, buckets }) => [range.start - may, range.end - may, buckets.size])).toEqual([
      [0, 120, 2],
      [120, 1440 * 60 + 60, 2],
    ])
  })

  it('a piece passes over a few clean minutes and over any time without events', () => {
    const bucket = (i: number) => ({ bucket: i * 60, sig: 1, ends: [] })
    const marked = [0, 1, 2, 3, 500, 501, 502, 503, 504, 505, 506, 507].map(bucket)
    const wanted = new Set([0, 3, 500, 507].map((i) => i * 60))
    const pieces = piecesOf(marked, (one) => wanted.has(one.bucket))
    expect(pieces.map((piece) => piece.map((one) => one.bucket / 60))).toEqual([[0, 3, 500], [507]])
  })
})
