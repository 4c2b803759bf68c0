import { decimal, type Decimal, toText, ZERO } from '../../src/money/decimal.ts'
import { type Cause, causesInForce, withCause, withoutCauses } from '../../src/provision/cause.ts'
import { type BurntDown, burnGrants, type Grant } from '../../src/rating/grants.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'
import { decimalOf } from './terms.ts'
import { compareWith, type Field, type Mapped, type Mapping } from './vector.ts'

/** Grants and access, by `topic`. */
export const semanticsAccess: Readonly<Record<string, Mapping>> = {
  credit_burn: mapBurn,
  quota_rollover: mapRollover,
  entitlement_aggregation: mapCauses,
}

const DAY_MS = 86_400_000
const DAYS: Readonly<Record<string, number>> = { hourly: 1 / 24, daily: 1, weekly: 7 }

function at(days: number, hours = 0): Instant {
  return instantOf(days * DAY_MS + hours * 3_600_000)
}

function aGrant(amount: Decimal, parts: Partial<Grant> = {}): Grant {
  return {
    id: 'grant',
    amount,
    effectiveAt: at(0),
    priority: 0,
    expiresAt: null,
    voidedAt: null,
    recurrence: null,
    rollover: { min: ZERO, max: ZERO },
    ...parts,
  }
}

function burn(
  grants: readonly Grant[],
  usage: readonly { readonly at: Instant; readonly amount: Decimal }[],
  until: Instant,
  resets: readonly { readonly at: Instant; readonly keepsOverage: boolean }[] = [],
): BurntDown {
  return burnGrants({ grants, balances: new Map(), overage: ZERO, from: at(0), until, usage, resets })
}

function balanceOf({ balances }: BurntDown): string {
  return toText(balances.get('grant') ?? ZERO)
}

function mapBurn(vector: Field): Mapped {
  const input = vector.at('input')
  const expected = vector.at('expected')
  if (input.at('grants').exists) {
    if (input.at('grants').list().length > 0) throw new Error('only without grants')
    const burnt = burn([], [{ at: at(0), amount: decimalOf(input.at('usage')) }], at(1))
    return compareWith(expected.raw, { overage: toText(burnt.overage) })
  }
  const amount = decimalOf(input.at('grant'))
  if (input.at('voided_after_usage').exists) {
    const usage = [
      { at: at(0), amount: decimalOf(input.at('voided_after_usage')) },
      { at: at(2), amount: decimalOf(input.at('usage_after_void')) },
    ]
    const burnt = burn([aGrant(amount, { voidedAt: at(1) })], usage, at(3))
    return compareWith(expected.raw, { balance: balanceOf(burnt), overage: toText(burnt.overage) })
  }
  const days = DAYS[input.at('recurrence').text()]
  const m = /^day (\d+) \+(\d+)h$/.exec(input.at('at').text())
  if (days === undefined || m === null) throw new Error('no such recurrence')
  const until = at(Number(m[1]) - 1, Number(m[2]))
  const recurrence = { anchor: at(0), intervalMs: days * DAY_MS }
  const burnt = burn(
    [aGrant(amount, { recurrence })],
    [{ at: at(0, 1), amount: decimalOf(input.at('usage_day1')) }],
    until,
  )
  return compareWith(expected.raw, { balance: balanceOf(burnt) })
}

function mapRollover(vector: Field): Mapped {
  const input = vector.at('input')
  const bound = (key: string): Decimal => decimal(input.at(key).textOr('0'))
  const rollover = { min: bound('reset_min_rollover'), max: bound('reset_max_rollover') }
  const burnt = burn(
    [aGrant(decimalOf(input.at('grant')), { rollover })],
    [{ at: at(0, 1), amount: decimalOf(input.at('used')) }],
    at(1),
    [{ at: at(1), keepsOverage: false }],
  )
  return compareWith(vector.at('expected').raw, { balance_after_reset: balanceOf(burnt) })
}

/** `T1 SVC2 block`: each service is a cause of its own; access needs a set without any. */
function mapCauses(vector: Field): Mapped {
  const kinds = new Map<string, Cause>()
  const causeOf = (service: string): Cause => {
    const known = kinds.get(service)
    if (known !== undefined) return known
    const cause = [
      { kind: 'admin', by: service, reason: service, since: at(0) },
      { kind: 'payment', reason: service, since: at(0) },
      { kind: 'leak', reason: service, since: at(0) },
    ] as const
    const fresh = cause[kinds.size]
    if (fresh === undefined) throw new Error('no more kinds of causes')
    kinds.set(service, fresh)
    return fresh
  }
  let causes: readonly Cause[] = []
  const states = vector
    .at('input', 'events')
    .list()
    .map((event) => {
      const [, service = '', what = ''] = event.text().split(' ')
      const cause = causeOf(service)
      if (cause.kind === 'quota') throw new Error('not a quota')
      if (what === 'block') causes = withCause(causes, cause)
      else if (what === 'unblock') causes = withoutCauses(causes, { kind: cause.kind })
      else throw new Error(`no event ${what}`)
      return causesInForce(causes, at(1)).length === 0 ? 'ACTIVE' : 'BLOCKED'
    })
  return compareWith(vector.at('expected').raw, { states })
}
