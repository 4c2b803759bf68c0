import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IdentityHasher, identityHash, partitionOf, partitionOfHash } from '../../src/usage/partition.ts'

const require = createRequire(import.meta.url)
const kafkaHash = require('kafkajs/src/producer/partitioners/default/murmur2') as (key: Buffer) => number

describe('partitionOf', () => {
  it("hashes the identity's bytes as Kafka's own partitioner hashes a key", () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 })
    fc.assert(
      fc.property(text, text, text, (tenant, source, id) => {
        const key = Buffer.from(`${tenant}\0${source}\0${id}`, 'utf8')
        expect(identityHash(tenant, source, id)).toBe(kafkaHash(key))
      }),
      { numRuns: 2000 },
    )
  })

  it('hashes the same from bytes, one identity after another', () => {
    const hasher = new IdentityHasher()
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.integer({ min: 60, max: 3000 }).map((n) => 'é'.repeat(n)),
    )
    fc.assert(
      fc.property(
        fc.constantFrom('ten_1', 'ten_2', 'é'),
        text,
        text,
        fc.boolean(),
        (tenant, source, id, asText) => {
          hasher.begin(tenant)
          for (const part of [source, id]) {
            const bytes = Buffer.from(`..${part}.`)
            if (asText) hasher.addText(part)
            else hasher.addBytes(bytes, 2, bytes.length - 1)
          }
          expect(hasher.hash()).toBe(identityHash(tenant, source, id))
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('hashes identities that are longer than any before', () => {
    const id = 'é'.repeat(5000)
    expect(identityHash('t', 's', id)).toBe(kafkaHash(Buffer.from(`t\0s\0${id}`, 'utf8')))
  })

  it('I2: stays where it was, whatever is hashed in between', () => {
    expect(partitionOf('ten_1', '/gateway', 'evt-1', 8)).toBe(partitionOf('ten_1', '/gateway', 'evt-1', 8))
    expect(['a', 'b', 'c', 'd'].map((id) => partitionOf('ten_1', '/gateway', id, 8))).toEqual(
      ['a', 'b', 'c', 'd'].map((id) => (kafkaHash(Buffer.from(`ten_1\0/gateway\0${id}`)) & 0x7fffffff) % 8),
    )
  })

  it('drops the sign bit', () => {
    expect(partitionOfHash(-1, 8)).toBe(7)
    expect(partitionOfHash(-0x80000000, 8)).toBe(0)
  })

  it('spreads one busy customer evenly', () => {
    const counts = new Array<number>(8).fill(0)
    for (let i = 0; i < 8000; i++) {
      const p = partitionOf('ten_1', '/gateway', String(i), 8)
      counts[p] = (counts[p] ?? 0) + 1
    }
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(200)
  })
})
