import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { generateKey, hashKey, isWellFormedKey, keyHint } from '../../src/provision/key-format.ts'

describe('the form of a key', () => {
  it('I1: is tm_live_, 32 and 6 characters of base62, and its own checksum accepts it', () => {
    for (let i = 0; i < 200; i++) {
      const key = generateKey(randomBytes)
      expect(key).toMatch(/^tm_live_[0-9A-Za-z]{38}$/)
      expect(isWellFormedKey(key)).toBe(true)
    }
  })

  it('draws every character equally often: bytes of 248 and more are thrown away', () => {
    const feed = [new Uint8Array(32).fill(255), new Uint8Array(32).fill(61)]
    expect(generateKey(() => feed.shift() ?? new Uint8Array(32))).toMatch(/^tm_live_z{32}/)
  })

  it('I1: any changed, dropped or swapped character fails the checksum, without a look-up', () => {
    const key = generateKey(randomBytes)
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: key.length - 1 }),
        fc.constantFrom('0', 'a', 'Z', '9', '_', '-', ' ', 'é'),
        (i, char) => {
          fc.pre(key[i] !== char)
          expect(isWellFormedKey(key.slice(0, i) + char + key.slice(i + 1))).toBe(false)
          expect(isWellFormedKey(key.slice(0, i) + key.slice(i + 1))).toBe(false)
        },
      ),
    )
    expect(isWellFormedKey('')).toBe(false)
    expect(isWellFormedKey(`${key}\n`)).toBe(false)
    expect(isWellFormedKey(key.replace('tm_live_', 'tm_test_'))).toBe(false)
  })

  it('is kept as a hash and shown as a hint that gives 8 of its 38 characters', () => {
    const key = generateKey(randomBytes)
    expect(hashKey(key)).toMatch(/^[0-9A-Za-z_-]{43}$/)
    expect(keyHint(key)).toBe(`tm_live_${key.slice(8, 12)}…${key.slice(-4)}`)
  })
})
