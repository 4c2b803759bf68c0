import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { journalOf, type RecordRange } from '../../src/aggregate/journal.ts'

const range = (from: number, to: number): RecordRange => ({
  ...{ partition: 0, from, to, events: 10 * (to - from), bytes: 100 * (to - from) },
  ...{ checksum: (to * (to - 1) - from * (from - 1)) / 2, ingestedMaxMs: 0 },
})

describe('the journal of a partition', () => {
  it('I3: ends where the chain from 0 ends, and counts each record once', () => {
    const journal = journalOf(0, [range(5, 8), range(0, 2), range(2, 5), range(2, 3), range(0, 5)])
    expect(journal).toMatchObject({ end: 8, events: 80, bytes: 800, checksum: 28, detached: [] })
    expect(journal.chain.map(({ from, to }) => [from, to])).toEqual([
      [0, 5],
      [5, 8],
    ])
  })

  it('I3: does not pass a hole', () => {
    const journal = journalOf(0, [range(0, 3), range(4, 9)])
    expect(journal).toMatchObject({ end: 3, events: 30 })
    expect(journal.detached).toHaveLength(1)
  })

  it('I3: is the same in any order, with any ranges written again, for writers that start where others ended', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(
        fc.array(cuts, { minLength: 1, maxLength: 3 }),
        fc.infiniteStream(fc.nat()),
        (writers, random) => {
          // Every writer covers 0 to its last cut, in ranges of its own.
          const written = writers.flatMap((ends) => {
            const sorted = ends.toSorted((a, b) => a - b)
            return sorted.map((to, i) => range(sorted[i - 1] ?? 0, to))
          })
          const shuffled = [...written, ...written.slice(0, 3)]
            .map((item) => ({ item, key: Number(random.next().value) }))
            .toSorted((a, b) => a.key - b.key)
            .map(({ item }) => item)
          const end = Math.max(...written.map(({ to }) => to))
          const journal = journalOf(0, shuffled)
          expect(journal).toMatchObject({ end, events: 10 * end, bytes: 100 * end, detached: [] })
          expect(journal.checksum).toBe((end * (end - 1)) / 2)
        },
      ),
    )
  })
})
