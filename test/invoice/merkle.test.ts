import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SubjectId } from '../../src/id/ids.ts'
import { inclusionProof, leafHash, merkleRoot, rootOfProof, sortLeaves } from '../../src/invoice/merkle.ts'
import type { CanonicalEvent } from '../../src/usage/usage-query.ts'
import { instant } from '../support/invoicing.ts'

function event(id: string, value: string | null = '1'): CanonicalEvent {
  return {
    source: 'trace',
    id,
    type: 'llm.request',
    subject: 'acme' as SubjectId,
    time: instant('2023-11-16'),
    ingestedAt: instant('2023-11-16'),
    properties: {},
    coordinate: { epoch: 1, partition: 0, offset: Number(id), index: 0 },
    value,
  }
}
const leavesOf = (count: number): Buffer[] =>
  sortLeaves(Array.from({ length: count }, (_, i) => leafHash(event(String(i)))))

describe('the tree over the events of a line', () => {
  it('I8: proves every event of it, and no other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), (count) => {
        const leaves = leavesOf(count)
        const root = merkleRoot(leaves)
        for (const leaf of leaves) {
          const steps = inclusionProof(leaves, leaf)
          expect(steps).not.toBeNull()
          expect(rootOfProof(leaf, steps ?? [])).toBe(root)
          expect(steps?.length).toBeLessThanOrEqual(Math.ceil(Math.log2(count)))
        }
        const stranger = leafHash(event(String(count)))
        expect(inclusionProof(leaves, stranger)).toBeNull()
        expect(rootOfProof(stranger, inclusionProof(leaves, leaves[0] ?? stranger) ?? [])).not.toBe(root)
      }),
      { numRuns: 60 },
    )
  })

  it('I8: has another root when an event, its value or its place is another', () => {
    const root = merkleRoot(leavesOf(9))
    const roots = [8, 10].map((count) => merkleRoot(leavesOf(count)))
    const changed = leavesOf(8).concat(leafHash(event('8', '2')))
    roots.push(merkleRoot(sortLeaves(changed)))
    const moved = { ...event('8'), coordinate: { epoch: 1, partition: 0, offset: 8, index: 1 } }
    roots.push(merkleRoot(sortLeaves(leavesOf(8).concat(leafHash(moved)))))
    for (const other of roots) expect(other).not.toBe(root)
    expect(new Set(roots).size).toBe(roots.length)
  })

  it('does not depend on the order in which the events are read', () => {
    const leaves = leavesOf(20)
    expect(merkleRoot(sortLeaves(leaves.toReversed()))).toBe(merkleRoot(leaves))
  })

  it('keeps leaves and nodes apart: two leaves and their node do not have one root', () => {
    const [a, b] = leavesOf(2)
    if (a === undefined || b === undefined) throw new Error('two leaves')
    expect(merkleRoot([Buffer.concat([a, b])])).not.toBe(merkleRoot([a, b]))
    expect(merkleRoot([])).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  })
})
