import { add, compare, type Decimal, decimal, toText } from '../money/decimal.ts'
import { contains, type Instant, type Interval } from '../time/instant.ts'

/** What a feature gives: that it is there, a setting, or units of a quota. */
export type FeatureValue =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'static'; readonly value: string }
  | { readonly kind: 'metered'; readonly limit: string | null }

/** How the values of several sources become one. */
export type FeatureRule =
  | { readonly kind: 'boolean' }
  /** The source that comes first decides: overrides, then add-ons, then the plan. */
  | { readonly kind: 'static' }
  | { readonly kind: 'metered'; readonly combine: 'sum' | 'max' }

export interface FeatureSource {
  readonly from: 'plan' | 'addOn' | 'override' | 'grant'
  /** Key or id of the plan version, add-on, override or grant: for the reason. */
  readonly name: string
  readonly feature: string
  readonly value: FeatureValue
  /** When it is in force; the end null: open. */
  readonly start: Instant
  readonly end: Instant | null
}

export interface FeatureSuspension {
  /** Null: all features. */
  readonly feature: string | null
  readonly reason: string
  readonly interval: Interval
}

export type Entitlement =
  | {
      readonly kind: 'granted'
      readonly value: FeatureValue
      /** What granted it, first what decided. */
      readonly by: readonly FeatureSource[]
      /** When the answer may change by time alone. */
      readonly until: Instant | null
    }
  | {
      readonly kind: 'denied'
      readonly why: 'unknownFeature' | 'notIncluded' | 'notYet' | 'ended' | 'suspended'
      readonly reasons: readonly string[]
      readonly until: Instant | null
    }

export interface EntitlementInputs {
  readonly feature: string
  /** Feature → rule; what is not here is unknown, and denied. */
  readonly rules: ReadonlyMap<string, FeatureRule>
  readonly sources: readonly FeatureSource[]
  readonly suspensions: readonly FeatureSuspension[]
  readonly now: Instant
}

/** `effective = merge(plan, add-ons, overrides, grants) − suspensions`, pure: a cached answer holds until `until`. */
export function resolveEntitlement(inputs: EntitlementInputs): Entitlement {
  const { feature, rules, now } = inputs
  const rule = rules.get(feature)
  const sources = inputs.sources.filter((source) => source.feature === feature)
  const suspensions = inputs.suspensions.filter((one) => one.feature === null || one.feature === feature)
  const until = nextChange(sources, suspensions, now)
  if (rule === undefined) return { kind: 'denied', why: 'unknownFeature', reasons: [], until: null }
  const suspended = suspensions.filter((one) => contains(one.interval, now))
  if (suspended.length > 0) {
    return { kind: 'denied', why: 'suspended', reasons: suspended.map((one) => one.reason), until }
  }
  const inForce = sources.filter((source) => source.value.kind === rule.kind && isInForce(source, now))
  const by = inForce.toSorted((a, b) => ORDER.indexOf(a.from) - ORDER.indexOf(b.from))
  const value = valueOf(rule, by)
  if (value === null) return { kind: 'denied', why: whyNot(sources, now), reasons: [], until }
  return { kind: 'granted', value, by, until }
}

const ORDER: readonly FeatureSource['from'][] = ['override', 'addOn', 'plan', 'grant']

function valueOf(rule: FeatureRule, by: readonly FeatureSource[]): FeatureValue | null {
  const [first] = by
  if (first === undefined) return null
  switch (rule.kind) {
    case 'boolean':
    case 'static':
      return first.value
    case 'metered':
      return { kind: 'metered', limit: limitOf(rule.combine, by) }
  }
}

/** An override replaces what the plan and add-ons give; grants come on top. Unlimited is more than any number. */
function limitOf(combine: 'sum' | 'max', by: readonly FeatureSource[]): string | null {
  const override = by.filter((source) => source.from === 'override')
  const base = override.length > 0 ? override.slice(0, 1) : by.filter((source) => source.from !== 'grant')
  const limits = base.map(meteredLimit)
  const grants = by.filter((source) => source.from === 'grant').map(meteredLimit)
  if ([...limits, ...grants].includes(null)) return null
  const combined = limits.reduce<Decimal>((before, text) => {
    const limit = decimal(text ?? '0')
    if (combine === 'sum') return add(before, limit)
    return compare(limit, before) > 0 ? limit : before
  }, decimal('0'))
  return toText(grants.reduce((sum, text) => add(sum, decimal(text ?? '0')), combined))
}

function meteredLimit({ value }: FeatureSource): string | null {
  return value.kind === 'metered' ? value.limit : '0'
}

function isInForce({ start, end }: FeatureSource, now: Instant): boolean {
  return now >= start && (end === null || now < end)
}

function whyNot(sources: readonly FeatureSource[], now: Instant): 'notIncluded' | 'notYet' | 'ended' {
  if (sources.some((source) => now < source.start)) return 'notYet'
  return sources.some((source) => source.end !== null && now >= source.end) ? 'ended' : 'notIncluded'
}

function nextChange(
  sources: readonly FeatureSource[],
  suspensions: readonly FeatureSuspension[],
  now: Instant,
): Instant | null {
  const edges = [
    ...sources.flatMap(({ start, end }) => (end === null ? [start] : [start, end])),
    ...suspensions.flatMap(({ interval }) => [interval.start, interval.end]),
  ].filter((edge) => edge > now)
  return edges.reduce<Instant | null>((least, edge) => (least === null || edge < least ? edge : least), null)
}
