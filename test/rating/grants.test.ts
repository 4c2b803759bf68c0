import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  add,
  compare,
  type Decimal,
  decimal,
  fromBigInt,
  isNegative,
  toText,
  ZERO,
} from '../../src/money/decimal.ts'
import { type BurnDown, burnGrants, type Grant } from '../../src/rating/grants.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'

const at = (hours: number): Instant => instantOf(hours * 3_600_000)

function aGrant(id: string, amount: string, parts: Partial<Grant> = {}): Grant {
  return {
    id,
    amount: decimal(amount),
    effectiveAt: at(0),
    priority: 0,
    expiresAt: null,
    voidedAt: null,
    recurrence: null,
    rollover: { min: ZERO, max: ZERO },
    ...parts,
  }
}

function run(parts: Partial<BurnDown>): Record<string, string> {
  const { balances, overage } = burnGrants({
    ...{ grants: [], balances: new Map(), overage: ZERO, from: at(0), until: at(100), usage: [], resets: [] },
    ...parts,
  })
  return {
    ...Object.fromEntries([...balances].map(([id, left]) => [id, toText(left)])),
    overage: toText(overage),
  }
}

const use = (hours: number, amount: string): BurnDown['usage'][number] => ({
  at: at(hours),
  amount: decimal(amount),
})

describe('grants', () => {
  it('I11: burn by priority, then by the earlier end, then in their order', () => {
    const grants = [
      aGrant('later', '10', { priority: 2 }),
      aGrant('endless', '10', { priority: 1 }),
      aGrant('ending', '10', { priority: 1, expiresAt: at(50) }),
      aGrant('ending too', '10', { priority: 1, expiresAt: at(50) }),
    ]
    const until = at(40)
    expect(run({ grants, until, usage: [use(1, '15')] })).toMatchObject({
      ending: '0',
      'ending too': '5',
      endless: '10',
    })
    expect(run({ grants, until, usage: [use(1, '35')] })).toMatchObject({
      endless: '0',
      later: '5',
      overage: '0',
    })
  })

  it('I11: keep usage that nothing covers as overage, which the next grant pays first', () => {
    const grants = [aGrant('a', '10', { effectiveAt: at(5) })]
    expect(run({ grants, usage: [use(1, '4')], until: at(4) })).toEqual({ a: '0', overage: '4' })
    expect(run({ grants, usage: [use(1, '4')], until: at(6) })).toEqual({ a: '6', overage: '0' })
  })

  it('end with what is left, and refill to their amount', () => {
    const ending = aGrant('a', '10', { expiresAt: at(5) })
    expect(run({ grants: [ending], usage: [use(1, '4'), use(5, '3')] })).toEqual({ a: '0', overage: '3' })
    const daily = aGrant('a', '10', { recurrence: { anchor: at(0), intervalMs: 24 * 3_600_000 } })
    expect(run({ grants: [daily], usage: [use(1, '14')], until: at(24) })).toEqual({ a: '6', overage: '0' })
  })

  it('roll over at a reset, within their bounds', () => {
    const of = (min: string, max: string): string | undefined =>
      run({
        grants: [aGrant('a', '100', { rollover: { min: decimal(min), max: decimal(max) } })],
        usage: [use(1, '10')],
        resets: [{ at: at(2), keepsOverage: false }],
      })['a']
    expect([of('0', '50'), of('0', '0'), of('95', '200'), of('0', '200')]).toEqual(['50', '0', '95', '90'])
  })

  it('I11: never go below zero nor lose a unit, whatever the order in which usage is given', () => {
    const grant = fc.record({
      amount: fc.nat(50),
      priority: fc.nat(2),
      from: fc.nat(20),
      length: fc.option(fc.integer({ min: 1, max: 30 }), { nil: null }),
    })
    const usages = fc.array(fc.record({ hours: fc.nat(40), amount: fc.nat(20) }), { maxLength: 12 })
    fc.assert(
      fc.property(fc.array(grant, { maxLength: 5 }), usages, (given, used) => {
        const grants = given.map(({ amount, priority, from, length }, i) =>
          aGrant(String(i), String(amount), {
            priority,
            effectiveAt: at(from),
            expiresAt: length === null ? null : at(from + length),
          }),
        )
        const usage = used.map(({ hours, amount }) => use(hours, String(amount)))
        const burn = (of: typeof usage): ReturnType<typeof burnGrants> =>
          burnGrants({
            grants,
            usage: of,
            balances: new Map(),
            overage: ZERO,
            from: at(0),
            until: at(60),
            resets: [],
          })
        const result = burn(usage)
        expect(burn([...usage].reverse())).toEqual(result)
        const balances = [...result.balances.values()]
        expect(balances.some(isNegative)).toBe(false)
        const total = used.reduce((sum, { amount }) => sum + amount, 0)
        const granted = given.reduce((sum, { amount }) => sum + amount, 0)
        const left = balances.reduce<Decimal>(add, ZERO)
        // What is neither left nor overage was burnt or expired: never more than was granted.
        expect(
          compare(add(left, fromBigInt(BigInt(total))), add(result.overage, fromBigInt(BigInt(granted)))),
        ).not.toBe(1)
        expect(compare(result.overage, fromBigInt(BigInt(total)))).not.toBe(1)
      }),
    )
  })
})
