import { decimal, toText } from '../money/decimal.ts'
import type { Instant } from '../time/instant.ts'
import type { QuotaFigures } from './decide.ts'
import { type Account, type AccountName, figuresOfAccount, type Terms } from './ledger/account.ts'
import type { QuotaAuthority } from './ledger/authority.ts'
import type { HolderProfile } from './ports.ts'
import type { Epoch, Quota } from './quota.ts'

/** What the rest of the gate asks of the ledger about quotas of the mode `leased`. */
export interface LeasedQuotas {
  /** Tells the ledger the terms of an account, where they are new, and that its period turned, where it did. */
  sync(name: AccountName, quota: Quota, profile: HolderProfile, now: Instant): Promise<void>
  /** Where a holder stands by the books; null before the first terms. */
  standing(name: AccountName): LeasedStanding | null
  /** More units for the current epoch; the same again with the same id. */
  topUp(name: AccountName, id: string, units: string): Promise<'added' | 'conflict' | 'fraction' | 'unknown'>
}

/** The figures that an observed quota has from the usage store, from the books instead. */
interface LeasedStanding {
  readonly epoch: Epoch
  readonly used: string
  readonly topUps: string
}

export interface LeasedQuotasDeps {
  readonly authority: Pick<QuotaAuthority, 'submit' | 'account'>
  /** The holder's present where it lives by a test clock, else null. */
  readonly testClock: (name: AccountName) => Instant | null
}

export function createLeasedQuotas({ authority, testClock }: LeasedQuotasDeps): LeasedQuotas {
  return {
    async sync(name, quota, profile, now) {
      const terms = termsOf(quota, profile)
      const held = authority.account(name)
      if (held !== null && sameTerms(held.terms, terms)) {
        const { resetAt } = held.epoch
        if (resetAt !== null && now >= resetAt)
          await authority.submit(name, { kind: 'tick' }, testClock(name))
        return
      }
      await authority.submit(name, { kind: 'setTerms', terms }, testClock(name))
    },
    standing(name) {
      const account = authority.account(name)
      if (account === null) return null
      const { limit, settled } = figuresOfAccount(account)
      const more = limit === null || account.terms.limit === null ? 0n : limit - account.terms.limit
      return { epoch: account.epoch, used: String(settled), topUps: String(more > 0n ? more : 0n) }
    },
    async topUp(name, id, units) {
      const whole = wholeUnits(units)
      if (whole === null) return 'fraction'
      const answer = await authority.submit(
        name,
        {
          kind: 'grant',
          grantId: id,
          units: whole,
          priority: 1,
          effectiveAt: EARLIEST,
          expiresAt: 'epoch',
        },
        testClock(name),
      )
      switch (answer.kind) {
        case 'done':
          return 'added'
        case 'unknownAccount':
          return 'unknown'
        case 'conflict':
        case 'invalid':
        case 'stale':
        case 'granted':
        case 'denied':
          return 'conflict'
      }
    },
  }
}

/** Units of a leased quota are counted one by one: whole numbers only. Null for others. */
export function wholeUnits(text: string): bigint | null {
  const plain = toText(decimal(text))
  return /^\d+$/.test(plain) ? BigInt(plain) : null
}

/** The figures of an account as a gate tells them. */
export function figuresOfLeased(account: Account): QuotaFigures {
  const { limit, settled } = figuresOfAccount(account)
  const left = limit === null ? null : limit - settled
  const { name, terms, epoch, version } = account
  return {
    quota: name.quotaKey,
    unit: terms.unit,
    limit: limit === null ? null : String(limit),
    used: String(settled),
    remaining: left === null ? null : String(left > 0n ? left : 0n),
    epoch: epoch.label,
    startsAt: epoch.interval.start,
    resetAt: epoch.resetAt,
    warning: null,
    version,
  }
}

const EARLIEST = 0 as Instant

function termsOf(quota: Quota, profile: HolderProfile): Terms {
  return {
    limit: quota.limit === null ? null : wholeUnits(quota.limit),
    unit: quota.unit,
    period: quota.period,
    timezone: profile.timezone,
    billingPeriod: quota.period === 'billingPeriod' ? profile.billingPeriod : null,
    ladder: quota.ladder,
    rollover: null,
    onUnavailable: quota.onUnavailable,
  }
}

function sameTerms(a: Terms, b: Terms): boolean {
  return (
    a.limit === b.limit &&
    a.unit === b.unit &&
    a.period === b.period &&
    a.timezone === b.timezone &&
    a.billingPeriod?.start === b.billingPeriod?.start &&
    a.billingPeriod?.end === b.billingPeriod?.end &&
    JSON.stringify(a.ladder) === JSON.stringify(b.ladder) &&
    a.onUnavailable === b.onUnavailable
  )
}
