import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DuplicateWindow } from '../../src/ingest/duplicate-window.ts'
import { Pack } from '../../src/ingest/pack.ts'
import { instantOf } from '../../src/time/instant.ts'
import { PackEncoder } from '../../src/usage/pack-encoder.ts'

/** Looks for an id, and remembers it when it is new, as the judge does. */
function see(window: DuplicateWindow, pack: Pack, id: string, hash: number): 'new' | number {
  const { encoder } = pack
  encoder.beginEvent('t', '/s', id)
  const first = window.find(hash, encoder.bytes, encoder.eventStart, encoder.position)
  if (first !== null) {
    encoder.dropEvent()
    return first.index
  }
  encoder.describeEvent('x', 'u', instantOf(0))
  encoder.endEvent()
  window.remember(hash, pack, encoder.eventStart, encoder.count - 1, encoder.position - encoder.eventStart)
  return 'new'
}

describe('DuplicateWindow', () => {
  it('is exact, whatever the hashes are', () => {
    const step = fc.tuple(fc.integer({ min: 0, max: 30 }), fc.constantFrom(0, 1, -1, 7), fc.boolean())
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const window = new DuplicateWindow(1_000_000)
        let pack = new Pack(0, new PackEncoder())
        const known = new Map<string, number>()
        const hashOf = new Map<number, number>()
        for (const [n, hash, seals] of steps) {
          if (!hashOf.has(n)) hashOf.set(n, hash)
          const seen = see(window, pack, `id-${n}`, hashOf.get(n) ?? 0)
          expect(seen).toBe(known.get(`id-${n}`) ?? 'new')
          if (seen === 'new') known.set(`id-${n}`, pack.encoder.count - 1)
          if (seals && pack.encoder.count > 0) {
            pack.close(instantOf(1))
            pack = new Pack(0, new PackEncoder())
          }
        }
        expect(window.entries).toBe(known.size)
      }),
      { numRuns: 200 },
    )
  })

  it('remembers at least half of its bytes, and no more than all', () => {
    const window = new DuplicateWindow(100_000)
    let pack = new Pack(0, new PackEncoder())
    for (let i = 0; i < 50_000; i++) {
      expect(see(window, pack, `id-${i}`, Math.imul(i, 0x9e3779b1))).toBe('new')
      if (pack.encoder.count === 500) {
        pack.close(instantOf(1))
        pack = new Pack(0, new PackEncoder())
      }
    }
    // An event here takes 16 to 22 bytes.
    expect(window.entries).toBeGreaterThan(100_000 / 2 / 25)
    expect(window.entries).toBeLessThan((100_000 / 15) * 1.1)
    expect(see(window, pack, 'id-49999', Math.imul(49_999, 0x9e3779b1))).not.toBe('new')
    expect(see(window, pack, 'id-0', 0)).toBe('new')
  })

  it('crafted ids that share a hash cost a bounded search, and are then not recognised', () => {
    const window = new DuplicateWindow(10_000_000)
    const pack = new Pack(0, new PackEncoder())
    for (let i = 0; i < 100; i++) expect(see(window, pack, `id-${i}`, 5)).toBe('new')
    expect(see(window, pack, 'id-0', 5)).toBe(0)
    expect(see(window, pack, 'id-99', 5)).toBe('new')
    expect(window.entries).toBeLessThan(100)
  })

  it('forgets everything when told', () => {
    const window = new DuplicateWindow(1_000_000)
    const pack = new Pack(0, new PackEncoder())
    see(window, pack, 'a', 1)
    window.clear()
    expect(window.entries).toBe(0)
    expect(see(window, pack, 'a', 1)).toBe('new')
    expect(see(window, pack, 'a', 1)).not.toBe('new')
  })
})
