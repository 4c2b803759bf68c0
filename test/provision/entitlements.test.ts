import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Entitlement,
  type FeatureRule,
  type FeatureSource,
  type FeatureSuspension,
  type FeatureValue,
  resolveEntitlement,
} from '../../src/provision/entitlements.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'

const RULES: ReadonlyMap<string, FeatureRule> = new Map([
  ['sso', { kind: 'boolean' }],
  ['region', { kind: 'static' }],
  ['seats', { kind: 'metered', combine: 'sum' }],
  ['projects', { kind: 'metered', combine: 'max' }],
] as const)
const source = (
  from: FeatureSource['from'],
  feature: string,
  value: FeatureValue = { kind: 'boolean' },
  [start, end]: readonly [number, number | null] = [0, null],
): FeatureSource => ({
  from,
  name: `${from} of ${feature}`,
  feature,
  value,
  start: instantOf(start),
  end: end === null ? null : instantOf(end),
})
const units = (limit: string | null): FeatureValue => ({ kind: 'metered', limit })
const suspension = (feature: string | null, start: number, end: number): FeatureSuspension => ({
  feature,
  reason: 'unpaid',
  interval: { start: instantOf(start), end: instantOf(end) },
})
const at = (
  feature: string,
  sources: readonly FeatureSource[],
  now = 10,
  suspensions: readonly FeatureSuspension[] = [],
): Entitlement => resolveEntitlement({ feature, rules: RULES, sources, suspensions, now: now as Instant })

describe('I13: an entitlement', () => {
  it.each([
    ['an unknown feature', 'teleport', [source('plan', 'teleport')], 'unknownFeature'],
    [
      'one that no source has',
      'sso',
      [source('plan', 'region', { kind: 'static', value: 'eu' })],
      'notIncluded',
    ],
    ['one that begins later', 'sso', [source('plan', 'sso', undefined, [11, null])], 'notYet'],
    ['one whose trial is over', 'sso', [source('grant', 'sso', undefined, [0, 10])], 'ended'],
    ['one of another kind', 'sso', [source('plan', 'sso', units('5'))], 'notIncluded'],
  ] as const)('is denied for %s', (_, feature, sources, why) => {
    expect(at(feature, sources)).toMatchObject({ kind: 'denied', why })
  })

  it('is denied while anything suspends it, with every reason, and back by itself', () => {
    const sources = [source('plan', 'sso')]
    const suspensions = [suspension('sso', 5, 20), suspension(null, 8, 15), suspension('region', 0, 99)]
    expect(at('sso', sources, 10, suspensions)).toEqual({
      kind: 'denied',
      why: 'suspended',
      reasons: ['unpaid', 'unpaid'],
      until: 15,
    })
    expect(at('sso', sources, 15, suspensions)).toMatchObject({
      why: 'suspended',
      reasons: ['unpaid'],
      until: 20,
    })
    expect(at('sso', sources, 20, suspensions)).toMatchObject({ kind: 'granted', until: null })
  })

  it('of a setting comes from the override, else the add-on, else the plan', () => {
    const plan = source('plan', 'region', { kind: 'static', value: 'eu' })
    const addOn = source('addOn', 'region', { kind: 'static', value: 'us' })
    const override = source('override', 'region', { kind: 'static', value: 'ch' }, [0, 50])
    expect(at('region', [plan, addOn])).toMatchObject({ value: { value: 'us' } })
    expect(at('region', [plan, addOn, override])).toMatchObject({ value: { value: 'ch' }, until: 50 })
    expect(at('region', [plan, addOn, override], 50)).toMatchObject({ value: { value: 'us' } })
  })

  it.each([
    ['seats', [source('plan', 'seats', units('5')), source('addOn', 'seats', units('2.5'))], '7.5'],
    ['projects', [source('plan', 'projects', units('5')), source('addOn', 'projects', units('3'))], '5'],
    ['seats', [source('plan', 'seats', units('5')), source('grant', 'seats', units('10'))], '15'],
    [
      'seats',
      [
        source('plan', 'seats', units('5')),
        source('override', 'seats', units('1')),
        source('grant', 'seats', units('2')),
      ],
      '3',
    ],
    ['seats', [source('plan', 'seats', units('5')), source('addOn', 'seats', units(null))], null],
    ['seats', [source('plan', 'seats', units(null)), source('override', 'seats', units('4'))], '4'],
  ])('of %s, case %#, is %j', (feature, sources, limit) => {
    expect(at(feature, sources)).toMatchObject({ kind: 'granted', value: { limit } })
  })

  it('is the same at every instant until the one that it names', () => {
    const instant = fc.integer({ min: 0, max: 40 })
    const anySource = fc
      .tuple(
        fc.constantFrom('plan' as const, 'addOn' as const, 'override' as const, 'grant' as const),
        instant,
        fc.option(instant),
      )
      .map(([from, start, end]) => source(from, 'seats', units(String(start)), [start, end]))
    const anySuspension = fc.tuple(instant, instant).map(([start, end]) => suspension('seats', start, end))
    fc.assert(
      fc.property(
        fc.array(anySource),
        fc.array(anySuspension, { maxLength: 3 }),
        instant,
        instant,
        (sources, suspensions, now, later) => {
          const cached = at('seats', sources, now, suspensions)
          const then = now + later
          if (cached.until !== null && then >= cached.until) return
          expect(at('seats', sources, then, suspensions)).toEqual(cached)
        },
      ),
    )
  })
})
