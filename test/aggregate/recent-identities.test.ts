import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Place, RecentIdentities } from '../../src/aggregate/recent-identities.ts'
import { instantOf } from '../../src/time/instant.ts'
import type { UsageEvent } from '../../src/usage/event.ts'
import { PackWalker } from '../../src/usage/pack-walker.ts'
import { aUsageEvent, NOON, packBytes } from '../support/usage-packs.ts'

function note(
  recent: RecentIdentities,
  events: readonly UsageEvent[],
  offset: number,
): readonly (Place | null)[] {
  const walker = new PackWalker()
  walker.open(packBytes(events))
  const found: (Place | null)[] = []
  while (walker.next()) found.push(recent.note(walker, 0, offset))
  return found
}

const copy = fc.record({
  id: fc.constantFrom('a', 'b', 'c', 'ab', ''),
  source: fc.constantFrom('s', 's2', 'sa'),
  subject: fc.constantFrom('x', 'y'),
  minute: fc.integer({ min: 0, max: 2 }),
})

describe('RecentIdentities', () => {
  it('answers the first copy to every later one with another key, and to no other', () => {
    fc.assert(
      fc.property(fc.array(copy, { maxLength: 60 }), fc.integer(), (copies, seed) => {
        const recent = new RecentIdentities(8, seed)
        const firsts = new Map<string, { readonly key: string; readonly offset: number }>()
        for (const [offset, { id, source, subject, minute }] of copies.entries()) {
          const event = aUsageEvent({ id, source, subject, time: instantOf(NOON + minute * 60_000) })
          const identity = JSON.stringify([source, id])
          const key = JSON.stringify([subject, minute])
          const first = firsts.get(identity)
          if (first === undefined) firsts.set(identity, { key, offset })
          const expected =
            first === undefined || first.key === key ? null : { partition: 0, offset: first.offset, index: 0 }
          expect(note(recent, [event], offset)).toEqual([expected])
        }
      }),
    )
  })

  it('tells nothing new when the log is read again from its start', () => {
    const recent = new RecentIdentities(8, 7)
    const [first, other] = [aUsageEvent({ subject: 'x' }), aUsageEvent({ subject: 'y' })]
    const place = { partition: 0, offset: 2 ** 35, index: 0 }
    expect(note(recent, [first], 2 ** 35)).toEqual([null])
    expect(note(recent, [other], 2 ** 35 + 1)).toEqual([place])
    expect(note(recent, [first], 2 ** 35)).toEqual([null])
    expect(note(recent, [other], 2 ** 35 + 1)).toEqual([place])
  })

  it('takes an earlier copy for the first when it reads from further back', () => {
    const recent = new RecentIdentities(8, 7)
    note(recent, [aUsageEvent({ subject: 'y' })], 9)
    expect(note(recent, [aUsageEvent({ subject: 'x' })], 3)).toEqual([null])
    expect(note(recent, [aUsageEvent({ subject: 'y' })], 9)).toEqual([{ partition: 0, offset: 3, index: 0 }])
  })

  it('forgets nothing of its last generation, and keeps what is still in use', () => {
    const recent = new RecentIdentities(6, 3)
    note(recent, [aUsageEvent({ id: 'kept', subject: 'x' })], 0)
    for (let i = 1; i <= 40 * recent.entriesMax; i++) {
      note(recent, [aUsageEvent({ id: `e${i}` })], i)
      if (i % (recent.entriesMax - 1) === 0) {
        expect(note(recent, [aUsageEvent({ id: 'kept', subject: 'y' })], i)).toEqual([
          { partition: 0, offset: 0, index: 0 },
        ])
      }
    }
  })
})
