import { hash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeId } from '../../src/id/ids.ts'
import type { ApiKeyId, CustomerKey, QuotaKey, SubjectId, TenantId } from '../../src/id/ids.ts'
import { createCompactKeys } from '../../src/provision/compact-keys.ts'
import type { KeyState } from '../../src/provision/key-state.ts'
import { createStringPool } from '../../src/provision/string-pool.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'

const instant = fc.option(fc.integer({ min: 0, max: 4_102_444_800_000 }).map(instantOf))
const name = fc.string({ unit: 'grapheme', maxLength: 20 })
const state: fc.Arbitrary<KeyState> = fc.record({
  kind: fc.constant('key' as const),
  version: fc.integer({ min: 1, max: 1_000_000 }),
  tenant: fc.constantFrom('ten_1', 'ten_2').map((text) => text as TenantId),
  keyId: fc.oneof(
    fc
      .tuple(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.uint8Array({ minLength: 10, maxLength: 10 }))
      .map(([ms, random]) => makeId('key', ms, random) as ApiKeyId),
    name.map((text) => `key_${text}` as ApiKeyId),
  ),
  hash: fc.integer({ min: 0, max: 40 }).map((secret) => hash('sha256', String(secret), 'base64url')),
  hint: fc.constant('tm_live_aaaa…zzzz'),
  name,
  environment: fc.constantFrom('live', 'test'),
  customer: fc.option(name.map((text) => text as CustomerKey)),
  subject: fc.option(name.map((text) => text as SubjectId)),
  scopes: fc.array(fc.constantFrom('read', 'chat.*'), { maxLength: 2 }),
  quotas: fc.array(
    fc.constantFrom('q1', 'q2').map((text) => text as QuotaKey),
    { maxLength: 2 },
  ),
  rate: fc.option(fc.constant({ requestsPerSecond: 0.5, burst: 3 })),
  ipRanges: fc.array(fc.constant('10.0.0.0/8'), { maxLength: 1 }),
  createdAt: fc.constant(0 as Instant),
  notBefore: instant,
  expiresAt: instant,
  revokedAt: instant,
  causes: fc.array(
    fc.record({ kind: fc.constant('leak' as const), reason: name, since: fc.constant(0 as Instant) }),
    { maxLength: 1 },
  ),
  rotatedTo: fc.option(fc.constant('key_next' as ApiKeyId)),
})

function held(keys: ReturnType<typeof createCompactKeys>, secret: number) {
  const key = keys.find(hash('sha256', String(secret), 'binary'))
  if (key === null) return null
  const { keyId, name, tenant, environment, scopes, quotas, rate, ipRanges, causes, rotatedTo } = key
  return { ...key, keyId, name, tenant, environment, scopes, quotas, rate, ipRanges, causes, rotatedTo }
}

describe('compact keys', () => {
  it('I6: hold exactly what a map of the highest versions holds', () => {
    fc.assert(
      fc.property(fc.array(state, { maxLength: 120 }), (states) => {
        const keys = createCompactKeys()
        const model = new Map<string, KeyState>()
        for (const one of states) {
          const before = model.get(one.hash)
          const newer = before === undefined || one.version > before.version
          expect(keys.put(one)).toBe(newer ? 'applied' : 'older')
          if (newer) model.set(one.hash, one)
        }
        expect(keys.size()).toBe(model.size)
        for (let secret = 0; secret <= 40; secret++) {
          const expected = model.get(hash('sha256', String(secret), 'base64url'))
          if (expected === undefined) {
            expect(held(keys, secret)).toBeNull()
            continue
          }
          const notHeld = { kind: 'key', hash: expected.hash, hint: expected.hint, createdAt: 0 }
          expect({ ...held(keys, secret), ...notHeld }).toEqual(expected)
        }
      }),
    )
  })

  it('give room back: two thousand versions of a hundred keys take no more than a few of each', () => {
    const [sample] = fc.sample(state, { numRuns: 1, seed: 1 })
    if (sample === undefined) throw new Error('no sample')
    const keys = createCompactKeys()
    for (let version = 1; version <= 2_000; version++) {
      for (let secret = 0; secret < 100; secret++) {
        const reason = 'x'.repeat(version % 7)
        keys.put({
          ...sample,
          hash: hash('sha256', String(secret), 'base64url'),
          name: 'n',
          causes: [{ kind: 'leak', reason, since: instantOf(version) }],
          version,
        })
      }
    }
    expect(held(keys, 99)).toMatchObject({ version: 2_000, causes: [{ since: 2_000 }] })
    expect(keys.byteLength()).toBeLessThan(6_000_000)
  })
})

describe('a string pool', () => {
  it('gives one reference a string, and the string back', () => {
    const pool = createStringPool()
    const texts = Array.from({ length: 200_000 }, (_, i) => `customer-${i}-ü`)
    const references = texts.map((text) => pool.intern(text))
    expect(new Set(references).size).toBe(texts.length)
    expect(references.map((reference) => pool.get(reference))).toEqual(texts)
    expect(texts.map((text) => pool.intern(text))).toEqual(references)
    expect(() => pool.intern('x'.repeat(65_536))).toThrow(RangeError)
  })
})
