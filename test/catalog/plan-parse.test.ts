import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePlan, planOfDocument } from '../../src/catalog/plan-parse.ts'
import { decimal } from '../../src/money/decimal.ts'

const fee = { key: 'fee', name: 'Fee', payment: 'inAdvance', price: { model: 'flat', amount: '10.00' } }
const use = {
  key: 'use',
  name: 'Use',
  meter: 'requests',
  payment: 'inArrears',
  price: { model: 'unit', unitAmount: '0.0000025' },
}
const plan = { name: 'Basic', currency: 'USD', interval: 'month', prices: [fee, use] }

const faultsOf = (raw: unknown): readonly string[] => {
  const parsed = parsePlan(raw)
  return parsed.kind === 'plan' ? [] : parsed.faults.map((fault) => fault.pointer)
}
const withPrice = (members: Readonly<Record<string, unknown>>) => ({
  ...plan,
  prices: [{ ...use, ...members }],
})
const priced = (price: unknown) => withPrice({ price })

describe('a plan', () => {
  it('is read as it is written, and stored documents are read back', () => {
    const parsed = parsePlan({
      ...plan,
      effectiveAt: '2026-01-01T01:00:00+01:00',
      existingSubscriptions: 'nextRenewal',
    })
    if (parsed.kind === 'faulty') throw new Error(JSON.stringify(parsed.faults))
    const { definition, effectiveAt, existingSubscriptions } = parsed.draft
    expect([effectiveAt, existingSubscriptions]).toEqual([Date.UTC(2026, 0, 1), 'nextRenewal'])
    expect(definition.document).toEqual(plan)
    expect(definition.prices.map(({ key, meter, payment }) => [key, meter, payment])).toEqual([
      ['fee', null, 'inAdvance'],
      ['use', 'requests', 'inArrears'],
    ])
    expect(planOfDocument(JSON.parse(JSON.stringify(definition.document)))).toEqual(definition)
  })

  it('bounds what all its prices come to, and lets discounts end', () => {
    const parsed = parsePlan({
      ...withPrice({ discounts: [{ percent: '10', periods: 3 }, { amount: '1' }] }),
      minimum: '50',
      maximum: '90',
    })
    if (parsed.kind === 'faulty') throw new Error(JSON.stringify(parsed.faults))
    const { minimum, maximum, prices } = parsed.draft.definition
    expect([minimum, maximum]).toEqual([decimal('50'), decimal('90')])
    expect(prices[0]?.terms.discounts).toEqual([
      { kind: 'percent', percent: decimal('10'), periods: 3 },
      { kind: 'amount', amount: decimal('1') },
    ])
    expect(parsePlan(plan)).toMatchObject({ draft: { definition: { minimum: null, maximum: null } } })
  })

  it('takes effect at once for those who subscribe then, where it says nothing', () => {
    expect(parsePlan(plan)).toMatchObject({
      draft: { effectiveAt: null, existingSubscriptions: 'grandfather' },
    })
  })

  it('a stored document that is none is a fault of ours', () => {
    expect(() => planOfDocument({ ...plan, currency: 'usd' })).toThrow('a stored plan is faulty: /currency')
  })
})

describe('each fault of a plan stands at its pointer', () => {
  const cases: readonly (readonly [unknown, ...(readonly string[])])[] = [
    [null, ''],
    [[], ''],
    [{}, '/name', '/currency', '/interval', '/prices'],
    [{ ...plan, title: 'x' }, '/title'],
    [{ ...plan, minimum: '-1', maximum: 'all' }, '/minimum', '/maximum'],
    [{ ...plan, minimum: '2', maximum: '1' }, '/minimum'],
    [{ ...plan, minimum: '1', prices: [{ ...fee, key: 'plan-total' }] }, '/prices/0/key'],
    [withPrice({ discounts: [{ percent: '10', periods: 0 }] }), '/prices/0/discounts/0/periods'],
    [withPrice({ discounts: [{ usage: '10', periods: 1.5 }] }), '/prices/0/discounts/0/periods'],
    [withPrice({ discounts: [{ periods: 3 }] }), '/prices/0/discounts/0'],
    [{ ...plan, 'a/b~c': 1 }, '/a~1b~0c'],
    [{ ...plan, name: '  ' }, '/name'],
    [{ ...plan, name: 'a\nb' }, '/name'],
    [{ ...plan, name: 'x'.repeat(201) }, '/name'],
    [{ ...plan, name: 7 }, '/name'],
    [{ ...plan, currency: 'usd' }, '/currency'],
    [{ ...plan, currency: 'ZZZ' }, '/currency'],
    [{ ...plan, currency: 840 }, '/currency'],
    [{ ...plan, interval: 'fortnight' }, '/interval'],
    [{ ...plan, effectiveAt: '2026-02-30T00:00:00Z' }, '/effectiveAt'],
    [{ ...plan, effectiveAt: '2026-01-01' }, '/effectiveAt'],
    [{ ...plan, effectiveAt: 1767225600 }, '/effectiveAt'],
    [{ ...plan, existingSubscriptions: 'everyone' }, '/existingSubscriptions'],
    [{ ...plan, prices: [] }, '/prices'],
    [{ ...plan, prices: {} }, '/prices'],
    [
      { ...plan, prices: Array.from({ length: 501 }, (_, i) => ({ ...fee, key: `f${String(i)}` })) },
      '/prices',
    ],
    [{ ...plan, prices: [null, 7] }, '/prices/0', '/prices/1'],
    [{ ...plan, prices: [fee, { ...fee }] }, '/prices/1/key'],
    [withPrice({ key: '-a' }), '/prices/0/key'],
    [withPrice({ key: 'x'.repeat(129) }), '/prices/0/key'],
    [withPrice({ name: undefined }), '/prices/0/name'],
    [withPrice({ payment: 'later' }), '/prices/0/payment'],
    [withPrice({ payment: 'inAdvance' }), '/prices/0/payment'],
    [withPrice({ meter: null }), '/prices/0/meter'],
    [withPrice({ meter: 'no such key' }), '/prices/0/meter'],
    [withPrice({ quantity: '1' }), '/prices/0/quantity'],
    [withPrice({ price: undefined }), '/prices/0/price'],
    [withPrice({ minimum: '5', maximum: '4' }), '/prices/0/minimum'],
    [withPrice({ minimum: '-5' }), '/prices/0/minimum'],
    [withPrice({ maximum: 5.5 }), '/prices/0/maximum'],
    [priced('flat'), '/prices/0/price'],
    [priced({}), '/prices/0/price/model'],
    [priced({ model: 'magic' }), '/prices/0/price/model'],
    [priced({ model: 'unit' }), '/prices/0/price/unitAmount'],
    [priced({ model: 'unit', unitAmount: 0.1 }), '/prices/0/price/unitAmount'],
    [priced({ model: 'unit', unitAmount: '1e3' }), '/prices/0/price/unitAmount'],
    [priced({ model: 'unit', unitAmount: '-1' }), '/prices/0/price/unitAmount'],
    [priced({ model: 'unit', unitAmount: '1'.repeat(39) }), '/prices/0/price/unitAmount'],
    [priced({ model: 'unit', unitAmount: '1', amount: '1' }), '/prices/0/price/amount'],
    [priced({ model: 'package', packageSize: '0', amount: '1' }), '/prices/0/price/packageSize'],
    [priced({ model: 'graduated', tiers: [] }), '/prices/0/price/tiers'],
    [
      priced({ model: 'graduated', tiers: [{ upTo: '10', unitAmount: '1' }] }),
      '/prices/0/price/tiers/0/upTo',
    ],
    [priced({ model: 'volume', tiers: [{ unitAmount: '1' }] }), '/prices/0/price/tiers/0/upTo'],
    [
      priced({ model: 'volume', tiers: [{ upTo: '10' }, { upTo: '10' }, { upTo: null }] }),
      '/prices/0/price/tiers/1/upTo',
    ],
    [priced({ model: 'volume', tiers: [{ upTo: '0' }, { upTo: null }] }), '/prices/0/price/tiers/0/upTo'],
    [priced({ model: 'volume', tiers: [{ upTo: null }, { upTo: null }] }), '/prices/0/price/tiers/0/upTo'],
    [
      priced({ model: 'stairstep', tiers: [{ upTo: null, unitAmount: '1' }] }),
      '/prices/0/price/tiers/0/unitAmount',
      '/prices/0/price/tiers/0/amount',
    ],
    [
      priced({ model: 'percentage', rate: '0.1', perEvent: { min: '2', max: '1' } }),
      '/prices/0/price/perEvent/min',
    ],
    [
      priced({ model: 'matrix', dimensions: [], cells: [{ match: { x: 'a' }, price: { model: 'matrix' } }] }),
      '/prices/0/price/dimensions',
      '/prices/0/price/cells/0/match/x',
      '/prices/0/price/cells/0/price/model',
    ],
    [
      priced({
        model: 'matrix',
        dimensions: ['m', 'm'],
        cells: [
          { match: { m: 'a' }, price: { model: 'unit', unitAmount: '1' } },
          { match: { m: 'a' }, price: { model: 'unit', unitAmount: '2' } },
        ],
      }),
      '/prices/0/price/dimensions/1',
      '/prices/0/price/cells/1/match',
    ],
  ]
  it.each(cases.map(([raw, ...pointers]) => [pointers.join(' ') || '(the whole)', raw, pointers] as const))(
    '%s',
    (_name, raw, pointers) => {
      expect(faultsOf(raw)).toEqual(pointers)
    },
  )

  it('all of them in one pass', () => {
    expect(faultsOf({ ...plan, currency: 'x', interval: 'y', prices: [{ ...fee, payment: 'z' }] })).toEqual([
      '/currency',
      '/interval',
      '/prices/0/payment',
    ])
  })

  it('whatever is sent is read or refused, never thrown at', () => {
    const members = fc.constantFrom(
      'name',
      'currency',
      'interval',
      'prices',
      'price',
      'model',
      'tiers',
      'key',
      '__proto__',
    )
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, 7, -0.5, '', 'USD', 'month', '12.50', 'graduated', 'flat'),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(members, tie('value'), { maxKeys: 5 }),
      ),
    }))
    fc.assert(
      fc.property(value, fc.constantFrom('name', 'currency', 'interval', 'prices'), (raw, name) => {
        for (const sent of [raw, { ...plan, [name]: raw }, priced(raw), withPrice({ discounts: raw })]) {
          const parsed = parsePlan(sent)
          if (parsed.kind === 'faulty') {
            expect(parsed.faults.length).toBeGreaterThan(0)
            for (const { pointer, detail } of parsed.faults) {
              expect(pointer === '' || pointer.startsWith('/')).toBe(true)
              expect(detail).not.toBe('')
            }
          } else expect(planOfDocument(parsed.draft.definition.document)).toEqual(parsed.draft.definition)
        }
      }),
    )
  })
})
