import { decimal, toText, ZERO } from '../../src/money/decimal.ts'
import { burnGrants, type Grant } from '../../src/rating/grants.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'
import { compareWith, type Field, type Mapped } from './vector.ts'

const T0 = Date.UTC(2024, 0, 1)
const UNIT_MS: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
}
const RECURRENCE_MS: Readonly<Record<string, number>> = {
  hourly: 3_600_000,
  daily: 86_400_000,
  weekly: 604_800_000,
}

export function mapBurnDown(vector: Field): Mapped {
  const config = vector.at('config')
  const balances = config.at('starting_balances').exists ? config.at('starting_balances').entries() : []
  const reset = config.at('reset_at')
  const burnt = burnGrants({
    grants: config.at('grants').list().map(grantOf),
    balances: new Map(balances.map(([id, balance]) => [id, decimal(balance.text())])),
    overage: ZERO,
    from: config.at('start_at').exists ? instant(config.at('start_at').text()) : instant('t0'),
    until: instant(config.at('until').text()),
    usage: vector
      .at('usage', 'events')
      .listOrNone()
      .map((event) => ({ at: instant(event.at('at').text()), amount: decimal(event.at('amount').text()) })),
    resets: reset.exists
      ? [{ at: instant(reset.text()), keepsOverage: config.at('preserve_overage').flag() }]
      : [],
  })
  const expected = vector.at('expected')
  return compareWith(expected.raw, {
    balances: Object.fromEntries([...burnt.balances].map(([id, balance]) => [id, toText(balance)])),
    ...(expected.at('overage').exists ? { overage: toText(burnt.overage) } : {}),
  })
}

function grantOf(grant: Field): Grant {
  const effectiveAt = instant(grant.at('effective_at').text())
  const expiry = grant.at('expires_after')
  const voided = grant.at('voided_at')
  const recurrence = grant.at('recurrence')
  return {
    id: grant.at('id').text(),
    amount: decimal(grant.at('amount').text()),
    effectiveAt,
    priority: grant.at('priority').number(),
    expiresAt: expiry.exists ? instantOf(effectiveAt + duration(expiry.text())) : null,
    voidedAt: voided.exists ? instant(voided.text()) : null,
    recurrence: recurrence.exists ? recurrenceOf(recurrence.text()) : null,
    rollover: {
      min: decimal(grant.at('reset_min_rollover').textOr('0')),
      max: decimal(grant.at('reset_max_rollover').textOr('0')),
    },
  }
}

function recurrenceOf(text: string): Grant['recurrence'] {
  const [every = '', anchor = ''] = text.split('@')
  const intervalMs = RECURRENCE_MS[every]
  if (intervalMs === undefined) throw new Error(`unknown recurrence: ${text}`)
  return { anchor: instant(anchor), intervalMs }
}

/** `t0`, `t0+1d1h`, `t0-1h`. */
function instant(text: string): Instant {
  const m = /^t0(?:([+-])(.+))?$/.exec(text)
  if (m === null) throw new Error(`not an instant of a vector: ${text}`)
  const offset = m[2] === undefined ? 0 : duration(m[2])
  return instantOf(T0 + (m[1] === '-' ? -offset : offset))
}

function duration(text: string): number {
  if (!/^(\d+[mhdwy])+$/.test(text)) throw new Error(`not a duration of a vector: ${text}`)
  return [...text.matchAll(/(\d+)([mhdwy])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ''] ?? 0),
    0,
  )
}
