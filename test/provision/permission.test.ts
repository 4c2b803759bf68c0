import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { describePermission, isPermitted, parsePermission } from '../../src/provision/permission.ts'

const permits = (scopes: readonly string[], text: string): boolean => {
  const parsed = parsePermission(text)
  if (parsed.kind === 'fault') throw new Error(parsed.detail)
  return isPermitted(scopes, parsed.query)
}

describe('permission queries', () => {
  it.each([
    ['a', ['a'], true],
    ['a', ['b'], false],
    ['a AND b', ['a'], false],
    ['a AND b', ['a', 'b'], true],
    ['a OR b', ['b'], true],
    ['a AND (b OR c)', ['a', 'c'], true],
    ['a AND (b OR c)', ['b', 'c'], false],
    ['a AND b OR c', ['c'], true],
    ['(a AND b)OR c', ['a'], false],
    ['chat.write', ['chat.*'], true],
    ['chatter', ['chat.*'], false],
    ['read AND ingest', ['admin'], true],
    ['delete', ['admin'], false],
  ])('%s by %j: %s', (text, scopes, expected) => {
    expect(permits(scopes, text)).toBe(expected)
  })

  it.each([
    ['', 'ends where'],
    ['a AND', 'ends where'],
    ['AND a', 'has "AND"'],
    ['(a OR b', 'closing bracket'],
    ['a b', 'has "b" where AND or OR'],
    ['a)', 'has ")"'],
    ['chat.*', 'not a permission'],
    [Array.from({ length: 33 }, () => 'a').join(' OR '), 'more than 64'],
  ])('refuses %j', (text, detail) => {
    const parsed = parsePermission(text)
    expect(parsed.kind === 'fault' ? parsed.detail : '').toContain(detail)
  })

  it('reads back what it writes, with the same answer for every set of scopes', () => {
    const word = fc.constantFrom('a', 'b', 'c', 'd')
    const { query } = fc.letrec<{ query: string }>((tie) => ({
      query: fc.oneof(
        { maxDepth: 3 },
        word,
        fc
          .tuple(tie('query'), fc.constantFrom('AND', 'OR'), tie('query'))
          .map(([l, op, r]) => `(${l} ${op} ${r})`),
      ),
    }))
    fc.assert(
      fc.property(query, fc.subarray(['a', 'b', 'c', 'd']), (text, scopes) => {
        const parsed = parsePermission(text)
        if (parsed.kind === 'fault') throw new Error(parsed.detail)
        const again = describePermission(parsed.query)
          .replaceAll('"', '')
          .replaceAll(' and ', ' AND ')
          .replaceAll(' or ', ' OR ')
        // JavaScript's own operators are the oracle.
        const oracle = text
          .replaceAll('AND', '&&')
          .replaceAll('OR', '||')
          .replaceAll(/[abcd]/g, (name) => String(scopes.includes(name)))
        const expected: unknown = runInNewContext(oracle)
        expect([permits(scopes, text), permits(scopes, again)]).toEqual([expected, expected])
      }),
    )
  })
})
