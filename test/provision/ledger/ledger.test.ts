import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { QuotaKey } from '../../../src/id/ids.ts'
import {
  type Account,
  type AccountName,
  figuresOfAccount,
  type Terms,
} from '../../../src/provision/ledger/account.ts'
import { apply } from '../../../src/provision/ledger/apply.ts'
import {
  type Answer,
  type Command,
  type CommandRecord,
  decodeRecord,
  encodeRecord,
} from '../../../src/provision/ledger/command.ts'
import { createLedger } from '../../../src/provision/ledger/ledger.ts'
import { type Instant, instantOf } from '../../../src/time/instant.ts'
import { ACME, at, TENANT } from '../../support/gate.ts'

const NAME: AccountName = {
  tenant: TENANT,
  quotaKey: 'calls' as QuotaKey,
  holder: { kind: 'customer', id: ACME },
}
const NOW = at('2023-11-15T12:00:00Z')
const terms = (changes: Partial<Terms> = {}): Terms => ({
  limit: 1000n,
  unit: 'calls',
  period: 'month',
  timezone: 'UTC',
  billingPeriod: null,
  ladder: [],
  rollover: null,
  onUnavailable: 'closed',
  ...changes,
})

function books(changes: Partial<Terms> = {}, now: Instant = NOW) {
  let account: Account | null = null
  let clock = now
  const reached: string[] = []
  const tell = (command: Command): Answer => {
    const applied = apply(NAME, account, command, clock)
    account = applied.account
    reached.push(...applied.reached)
    return applied.answer
  }
  tell({ kind: 'setTerms', terms: terms(changes) })
  const sequences = new Map<string, number>()
  return {
    tell,
    reached,
    at: (instant: Instant): void => {
      clock = instant
    },
    account: (): Account => {
      if (account === null) throw new Error('no account')
      return account
    },
    figures: () => figuresOfAccount(account as unknown as Account),
    acquire: (
      want: bigint,
      { holder = 'gw', incarnation = 1, minUseful = 1n, sequence = 0 } = {},
    ): Answer => {
      const next = sequence === 0 ? (sequences.get(holder) ?? 0) + 1 : sequence
      sequences.set(holder, next)
      return tell({ kind: 'acquire', holder, incarnation, sequence: next, want, minUseful })
    },
  }
}
const unitsOf = (answer: Answer): bigint => (answer.kind === 'granted' ? answer.lease.units : 0n)
const idOf = (answer: Answer): string => (answer.kind === 'granted' ? answer.lease.id : 'none')

describe('leases', () => {
  it('are as large as wanted, but no more than the share of one of several holders', () => {
    const { acquire } = books()
    expect(unitsOf(acquire(100n))).toBe(100n)
    expect(unitsOf(acquire(10_000n))).toBe(450n)
    expect(unitsOf(acquire(10_000n, { holder: 'gw2' }))).toBe(112n)
  })

  it('give a request that waits what it needs, where there is as much, and nothing where there is not', () => {
    const { acquire, figures } = books()
    expect(unitsOf(acquire(900n, { minUseful: 900n }))).toBe(900n)
    expect(acquire(101n, { minUseful: 101n })).toMatchObject({ kind: 'denied', free: 100n, final: false })
    expect(unitsOf(acquire(100n, { minUseful: 100n }))).toBe(100n)
    expect(figures()).toEqual({ limit: 1000n, settled: 0n, leased: 1000n, forfeited: 0n, free: 0n })
  })

  it('a repetition is answered the same, an older question not at all', () => {
    const { acquire, figures } = books()
    const first = acquire(100n, { sequence: 1 })
    expect(acquire(100n, { sequence: 1 })).toEqual(first)
    const second = acquire(50n, { sequence: 2 })
    expect(acquire(100n, { sequence: 1 })).toEqual({ kind: 'stale' })
    expect(acquire(50n, { sequence: 2 })).toEqual(second)
    expect(figures().leased).toBe(150n)
  })

  it('a return settles what was used and frees the rest; again it changes nothing', () => {
    const { acquire, tell, figures, account } = books()
    const leaseId = idOf(acquire(100n))
    expect(tell({ kind: 'return', leaseId, used: 101n })).toMatchObject({ kind: 'invalid' })
    for (let times = 0; times < 2; times++) {
      expect(tell({ kind: 'return', leaseId, used: 30n })).toEqual({ kind: 'done' })
      expect(figures()).toEqual({ limit: 1000n, settled: 30n, leased: 0n, forfeited: 0n, free: 970n })
    }
    const { version } = account()
    tell({ kind: 'return', leaseId, used: 30n })
    expect(account().version).toBe(version)
  })

  it('a denial asks the others for what they do not need', () => {
    const { acquire, account } = books()
    acquire(1000n, { minUseful: 1000n })
    expect(acquire(1n, { holder: 'gw2' })).toMatchObject({ kind: 'denied', final: false, recall: ['gw'] })
    expect(account().leases).toMatchObject([{ recalled: true }])
  })

  it('a denial is final when everything is settled', () => {
    const { acquire, tell } = books()
    tell({ kind: 'return', leaseId: idOf(acquire(1000n, { minUseful: 1000n })), used: 1000n })
    expect(acquire(1n)).toMatchObject({ kind: 'denied', final: true, resetAt: at('2023-12-01T00:00:00Z') })
  })
})

describe('lost holders', () => {
  it('I10: their leases stay charged in full until what was used is known', () => {
    const { acquire, tell, figures } = books()
    const leaseId = idOf(acquire(400n, { minUseful: 400n }))
    expect(tell({ kind: 'reconcile', leaseId, used: 10n })).toMatchObject({ kind: 'invalid' })
    tell({ kind: 'holderLost', holder: 'gw', incarnation: 1 })
    expect(figures().leased).toBe(400n)
    expect(acquire(1n)).toEqual({ kind: 'stale' })
    expect(unitsOf(acquire(1n, { incarnation: 2, sequence: 1 }))).toBe(1n)
    for (let times = 0; times < 2; times++) {
      expect(tell({ kind: 'reconcile', leaseId, used: 150n })).toEqual({ kind: 'done' })
      expect(figures()).toMatchObject({ settled: 150n, leased: 1n })
    }
  })

  it('one that returns after all is believed; what it used beyond its reconciliation is booked as late', () => {
    const { acquire, tell, figures, account } = books()
    const leaseId = idOf(acquire(400n, { minUseful: 400n }))
    tell({ kind: 'holderLost', holder: 'gw', incarnation: 1 })
    tell({ kind: 'reconcile', leaseId, used: 150n })
    for (let times = 0; times < 2; times++) tell({ kind: 'return', leaseId, used: 190n })
    expect(figures().settled).toBe(190n)
    expect(account().lateUnits).toBe(40n)
  })
})

describe('limits and grants', () => {
  it('a limit that is lowered below what is out grants nothing more; one that is raised grants at once', () => {
    const { acquire, tell, figures } = books()
    acquire(600n, { minUseful: 600n })
    tell({ kind: 'setTerms', terms: terms({ limit: 500n }) })
    expect(figures().free).toBe(-100n)
    expect(acquire(1n)).toMatchObject({ kind: 'denied' })
    tell({ kind: 'setTerms', terms: terms({ limit: 601n }) })
    expect(unitsOf(acquire(5n))).toBe(1n)
  })

  it('burn by priority, then what expires first, then what was there first', () => {
    const { acquire, tell, account, at: clock } = books({ limit: 10n })
    const grant = (grantId: string, priority: number, expiresAt: Instant | 'epoch' | null): void => {
      tell({ kind: 'grant', grantId, units: 10n, priority, effectiveAt: NOW, expiresAt })
    }
    grant('later', 1, null)
    grant('soon', 1, at('2023-11-20T00:00:00Z'))
    grant('first', -1, null)
    clock(instantOf(NOW + 1))
    grant('younger', 1, null)
    tell({ kind: 'return', leaseId: idOf(acquire(35n, { minUseful: 35n })), used: 35n })
    const used = Object.fromEntries(
      account().pools.map((pool) => [pool.id.split(' ').at(-1) ?? '', pool.used]),
    )
    expect(used).toEqual({ '2023-11': 10n, later: 5n, soon: 10n, first: 10n, younger: 0n })
  })

  it('a grant counts once an id, and another amount under it is a conflict', () => {
    const { tell, figures } = books()
    const grant = (units: bigint): Answer =>
      tell({ kind: 'grant', grantId: 'g', units, priority: 0, effectiveAt: NOW, expiresAt: 'epoch' })
    expect([grant(50n), grant(50n), grant(51n), grant(0n)].map((answer) => answer.kind)).toEqual([
      'done',
      'done',
      'conflict',
      'conflict',
    ])
    expect(figures().limit).toBe(1050n)
  })

  it('an expiry takes the unused units away at once, and what is leased of them stays leased', () => {
    const { acquire, tell, figures, at: clock } = books({ limit: 0n })
    const expiresAt = at('2023-11-16T00:00:00Z')
    tell({ kind: 'grant', grantId: 'g', units: 100n, priority: 0, effectiveAt: NOW, expiresAt })
    const leaseId = idOf(acquire(30n))
    clock(expiresAt)
    tell({ kind: 'tick' })
    expect(figures()).toEqual({ limit: 30n, settled: 0n, leased: 30n, forfeited: 0n, free: 0n })
    tell({ kind: 'return', leaseId, used: 10n })
    expect(figures()).toEqual({ limit: 10n, settled: 10n, leased: 0n, forfeited: 0n, free: 0n })
  })

  it('a grant that is not yet effective does not count', () => {
    const { tell, figures } = books({ limit: 0n })
    const effectiveAt = at('2023-11-16T00:00:00Z')
    tell({ kind: 'grant', grantId: 'g', units: 100n, priority: 0, effectiveAt, expiresAt: null })
    expect(figures().free).toBe(0n)
  })

  it('units that came past the gate are charged by their cumulative figure, in any order', () => {
    const { tell, figures, account } = books({ limit: 10n })
    for (const cumulative of [5n, 12n, 7n, 12n]) tell({ kind: 'charge', source: 's', cumulative })
    expect(figures()).toMatchObject({ settled: 12n, free: -2n })
    expect(account().unleasedUnits).toBe(12n)
  })

  it('an unlimited quota grants what is wanted', () => {
    const { acquire, figures } = books({ limit: null })
    expect(unitsOf(acquire(10n ** 20n))).toBe(10n ** 20n)
    expect(figures()).toMatchObject({ limit: null, leased: 10n ** 20n, free: null })
  })
})

describe('periods', () => {
  it('turn at midnight of the holder’s zone: leases of the last one no longer count', () => {
    const { acquire, tell, figures, at: clock } = books({ timezone: 'Europe/Berlin' })
    const leaseId = idOf(acquire(1000n, { minUseful: 1000n }))
    clock(instantOf(at('2023-11-30T23:00:00Z') - 1))
    expect(acquire(1n)).toMatchObject({ kind: 'denied' })
    clock(at('2023-11-30T23:00:00Z'))
    expect(acquire(1n)).toMatchObject({
      kind: 'granted',
      lease: { epoch: { start: at('2023-11-30T23:00:00Z') } },
    })
    tell({ kind: 'return', leaseId, used: 900n })
    expect(figures()).toMatchObject({ settled: 0n, leased: 1n })
  })

  it('time never runs back in the books', () => {
    const { acquire, tell, account, at: clock } = books()
    clock(at('2023-12-01T00:00:00Z'))
    tell({ kind: 'tick' })
    clock(at('2023-11-30T23:59:59Z'))
    acquire(10n)
    expect(account().epoch.label).toBe('2023-12')
  })

  it.each([
    ['200', '0 to 500', '500'],
    ['800', '0 to 500', '200'],
    ['1000', '50 to 500', '50'],
    ['0', 'none', '0'],
  ])('%s used, rollover %s: %s more in the next', (usedText, span, moreText) => {
    const [min, max] = span.split(' to ')
    const rollover = max === undefined ? null : { min: BigInt(min ?? ''), max: BigInt(max) }
    const [used, more] = [BigInt(usedText), BigInt(moreText)]
    const { acquire, tell, figures, at: clock } = books({ rollover })
    if (used > 0n) tell({ kind: 'return', leaseId: idOf(acquire(used, { minUseful: used })), used })
    clock(at('2023-12-05T00:00:00Z'))
    tell({ kind: 'tick' })
    expect(figures().limit).toBe(1000n + more)
    clock(at('2024-01-05T00:00:00Z'))
    tell({ kind: 'tick' })
    // What was rolled over once does not roll over again.
    expect(figures().limit).toBe(rollover === null ? 1000n : 1500n)
  })

  it('a billing period without a successor goes on: no reset is invented', () => {
    const billingPeriod = { start: at('2023-11-10T00:00:00Z'), end: at('2023-12-10T00:00:00Z') }
    const { acquire, tell, figures, at: clock } = books({ period: 'billingPeriod', billingPeriod })
    tell({ kind: 'return', leaseId: idOf(acquire(1000n, { minUseful: 1000n })), used: 1000n })
    clock(at('2023-12-11T00:00:00Z'))
    expect(acquire(1n)).toMatchObject({ kind: 'denied' })
    const next = { start: billingPeriod.end, end: at('2024-01-10T00:00:00Z') }
    tell({ kind: 'setTerms', terms: terms({ period: 'billingPeriod', billingPeriod: next }) })
    expect(figures().free).toBe(1000n)
  })

  it('I7: rungs are told once a period', () => {
    const ladder = [
      { at: '0.5', action: 'notify' },
      { at: '1', action: 'block' },
    ] as const
    const { acquire, tell, reached, at: clock } = books({ ladder })
    const use = (units: bigint): void => {
      tell({ kind: 'return', leaseId: idOf(acquire(units, { minUseful: units })), used: units })
    }
    use(499n)
    expect(reached).toEqual([])
    use(1n)
    use(500n)
    expect(reached).toEqual(['0.5 notify', '1 block'])
    tell({ kind: 'grant', grantId: 'g', units: 1000n, priority: 0, effectiveAt: NOW, expiresAt: 'epoch' })
    use(1000n)
    expect(reached).toHaveLength(2)
    clock(at('2023-12-01T00:00:00Z'))
    use(600n)
    expect(reached).toEqual(['0.5 notify', '1 block', '0.5 notify'])
  })
})

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('acquire' as const),
      holder: fc.constantFrom('a', 'b', 'c'),
      incarnation: fc.integer({ min: 1, max: 3 }),
      sequence: fc.integer({ min: 1, max: 12 }),
      want: fc.bigInt({ min: 1n, max: 400n }),
      minUseful: fc.bigInt({ min: 1n, max: 40n }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('return' as const, 'reconcile' as const),
      leaseId: fc.integer({ min: 1, max: 12 }).map(String),
      used: fc.bigInt({ min: 0n, max: 60n }),
    }),
  },
  fc.record({
    kind: fc.constant('holderLost' as const),
    holder: fc.constantFrom('a', 'b', 'c'),
    incarnation: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    kind: fc.constant('grant' as const),
    grantId: fc.constantFrom('g1', 'g2', 'g3'),
    units: fc.bigInt({ min: 1n, max: 300n }),
    priority: fc.integer({ min: -1, max: 1 }),
    effectiveAt: fc.integer({ min: 0, max: 7_200_000 }).map((ms) => instantOf(NOW + ms)),
    expiresAt: fc.constantFrom(null, 'epoch' as const, instantOf(NOW + 3_600_000)),
  }),
  fc.record({
    kind: fc.constant('setTerms' as const),
    terms: fc.bigInt({ min: 0n, max: 900n }).map((limit) => terms({ limit, period: 'hour' })),
  }),
  fc.constant({ kind: 'tick' as const }),
)
const history = fc.array(fc.tuple(command, fc.integer({ min: -1_000, max: 400_000 })), { maxLength: 80 })

describe('any history', () => {
  it('I10: S + O ≤ L after every acquire that granted, and every pool stays whole', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const { tell, figures, account, at: clock } = books({ period: 'hour', limit: 500n })
        let now: number = NOW
        for (const [step, later] of steps) {
          now += later
          clock(instantOf(now))
          const before = account()
          const answer = tell(step)
          const { limit, settled, leased } = figures()
          if (
            answer.kind === 'granted' &&
            account() !== before &&
            account().leaseNumber > before.leaseNumber
          ) {
            expect(settled + leased <= (limit ?? 0n)).toBe(true)
          }
          const open = account().leases.flatMap((lease) => lease.parts)
          for (const pool of account().pools) {
            const out = open
              .filter((part) => part.pool === pool.id)
              .reduce((sum, part) => sum + part.units, 0n)
            expect([pool.leased, pool.used >= 0n]).toEqual([out, true])
          }
        }
      }),
    )
  })

  it('I11: replay, a snapshot at any place and a second reader come to the same books', () => {
    fc.assert(
      fc.property(history, fc.nat(80), (steps, cut) => {
        const open: Command = { kind: 'setTerms', terms: terms({ period: 'hour', limit: 500n }) }
        let now: number = NOW
        const log = [[open, 0] as const, ...steps].map(([step, later], index) => {
          now += later
          const record: CommandRecord = {
            commandId: String(index),
            account: NAME,
            command: step,
            clock: null,
          }
          return { record: decodeRecord(encodeRecord(record)), at: instantOf(now) }
        })
        const whole = createLedger()
        let resumed = createLedger()
        for (const [offset, { record, at: appendedAt }] of log.entries()) {
          if (offset === cut) resumed = createLedger(resumed.snapshot())
          const answers = [whole, resumed].map(
            (ledger) => ledger.applyRecord(offset, record, appendedAt).answer,
          )
          expect(answers[1]).toEqual(answers[0])
        }
        expect(resumed.stateHash()).toBe(whole.stateHash())
      }),
    )
  })
})

describe('a ledger', () => {
  it('refuses a record that is not the next, and a snapshot that was changed', () => {
    const ledger = createLedger()
    const record: CommandRecord = {
      commandId: 'c',
      account: NAME,
      command: { kind: 'setTerms', terms: terms() },
      clock: null,
    }
    ledger.applyRecord(0, record, NOW)
    expect(() => ledger.applyRecord(0, record, NOW)).toThrow(RangeError)
    expect(() => ledger.applyRecord(2, record, NOW)).toThrow(RangeError)
    const snapshot = ledger.snapshot()
    expect(createLedger(snapshot).account(NAME)).toEqual(ledger.account(NAME))
    const changed = { ...snapshot, accounts: snapshot.accounts.replace('"1000"', '"9000"') }
    expect(() => createLedger(changed)).toThrow('damaged')
  })

  it('lives by the holder’s test clock where the command tells it', () => {
    const ledger = createLedger()
    const clock = at('2023-06-01T00:00:00Z')
    ledger.applyRecord(
      0,
      { commandId: 'c', account: NAME, command: { kind: 'setTerms', terms: terms() }, clock },
      NOW,
    )
    expect(ledger.account(NAME)?.epoch.label).toBe('2023-06')
  })

  it('answers nothing for an account without terms', () => {
    expect(apply(NAME, null, { kind: 'tick' }, NOW)).toEqual({
      account: null,
      answer: { kind: 'unknownAccount' },
      reached: [],
    })
  })

  it('carries numbers of any size, and texts that look like numbers', () => {
    const record: CommandRecord = {
      commandId: '12n',
      account: { ...NAME, holder: { kind: 'customer', id: '5n' as typeof ACME } },
      command: { kind: 'charge', source: '{"$n":"1"}', cumulative: 10n ** 30n },
      clock: null,
    }
    expect(decodeRecord(encodeRecord(record))).toEqual(record)
  })
})
