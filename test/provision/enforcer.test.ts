import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { QuotaKey } from '../../src/id/ids.ts'
import type { Admission, Enforcer, Reserved } from '../../src/provision/enforcer.ts'
import { type AccountName, figuresOfAccount, type Terms } from '../../src/provision/ledger/account.ts'
import type { QuotaAuthority } from '../../src/provision/ledger/authority.ts'
import { declareLostHolders } from '../../src/provision/lost-holders.ts'
import { LogError } from '../../src/usage/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { at } from '../support/gate.ts'
import { CALLS, CALLS_OF_ACME, type Leasing, openLeasing } from '../support/leasing.ts'

let leasing: Leasing
beforeEach(() => {
  leasing = openLeasing()
})
afterEach(() => leasing.close())

const TERMS: Terms = {
  limit: 1000n,
  unit: 'calls',
  period: 'month',
  timezone: 'UTC',
  billingPeriod: null,
  ladder: [],
  rollover: null,
  onUnavailable: 'closed',
}
const open = async (
  authority: QuotaAuthority,
  terms: Partial<Terms> = {},
  name = CALLS_OF_ACME,
): Promise<void> => {
  const answer = await authority.submit(
    name,
    { kind: 'setTerms', terms: { ...TERMS, ...terms } },
    leasing.now,
  )
  expect(answer).toEqual({ kind: 'done' })
}
const calls = (units: bigint, name: AccountName = CALLS_OF_ACME) => ({ account: name, units })
const settledIn = (admission: Admission): Reserved => {
  if (admission.kind !== 'admitted') throw new Error(admission.why)
  admission.reserved.settle()
  return admission.reserved
}
const figures = (authority: QuotaAuthority, name = CALLS_OF_ACME) => {
  const account = authority.account(name)
  if (account === null) throw new Error('no account')
  return figuresOfAccount(account)
}

describe('an enforcer', () => {
  it('I10: 200 parallel consumers on a limit of 1,000, over three enforcers: exactly 1,000', async () => {
    const first = await leasing.authority()
    await open(first)
    const second = await leasing.authority()
    const enforcers = [first, first, second].map((authority) =>
      leasing.enforcer(authority, { waitMs: 2_000 }),
    )
    // Each recall goes to whoever holds what is not needed.
    const recalling = setInterval(() => {
      for (const enforcer of enforcers) enforcer.recall(CALLS_OF_ACME)
    }, 20)
    let admitted = 0
    const consume = async (enforcer: Enforcer): Promise<void> => {
      for (let i = 0; i < 10; i++) {
        const admission = await enforcer.admit([calls(1n)])
        if (admission.kind === 'refused') continue
        admitted++
        admission.reserved.settle()
      }
    }
    const consumers = Array.from({ length: 200 }, (_, i) => enforcers.slice(i % 3)[0]).filter(
      (enforcer) => enforcer !== undefined,
    )
    await Promise.all(consumers.map(consume))
    clearInterval(recalling)
    expect(admitted).toBe(1000)
    for (const enforcer of enforcers) await enforcer.stop()
    await eventually(
      () => figures(second),
      ({ settled }) => settled === 1000n,
      2_000,
    )
    expect(figures(first)).toEqual({ limit: 1000n, settled: 1000n, leased: 0n, forfeited: 0n, free: 0n })
  })

  it('decides from its leases: a thousand requests ask the ledger a few times', async () => {
    const authority = await leasing.authority()
    await open(authority, { limit: 100_000n })
    let asked = 0
    const counting = {
      ...authority,
      submit: (...args: Parameters<QuotaAuthority['submit']>) => {
        if (args[1].kind === 'acquire') asked++
        return authority.submit(...args)
      },
    }
    const enforcer = leasing.enforcer(counting)
    for (let i = 0; i < 1000; i++) settledIn(await enforcer.admit([calls(1n)]))
    expect(asked).toBeLessThan(30)
  })

  it('takes all costs of a request or none', async () => {
    const authority = await leasing.authority()
    const tokens = { ...CALLS_OF_ACME, quotaKey: 'tokens' as QuotaKey }
    await open(authority)
    await open(authority, { limit: 5n }, tokens)
    const enforcer = leasing.enforcer(authority)
    settledIn(await enforcer.admit([calls(2n), calls(5n, tokens)]))
    expect(await enforcer.admit([calls(2n), calls(1n, tokens)])).toMatchObject({
      kind: 'refused',
      why: 'exhausted',
      cost: { account: { quotaKey: 'tokens' } },
    })
    await enforcer.stop()
    expect([figures(authority).settled, figures(authority, tokens).settled]).toEqual([2n, 5n])
  })

  it('holds units of work whose cost is unknown, and frees what was not used; a second end changes nothing', async () => {
    const authority = await leasing.authority()
    await open(authority)
    const enforcer = leasing.enforcer(authority, { waitMs: 500 })
    const admission = await enforcer.admit([calls(800n)])
    if (admission.kind !== 'admitted') throw new Error(admission.why)
    expect(await enforcer.admit([calls(300n)])).toMatchObject({ kind: 'refused', why: 'inFlight' })
    expect(await enforcer.admit([calls(1001n)])).toMatchObject({ kind: 'refused', why: 'exhausted' })
    admission.reserved.settle(new Map([[CALLS, 100n]]))
    admission.reserved.settle(new Map([[CALLS, 800n]]))
    admission.reserved.release()
    const again = await enforcer.admit([calls(900n)])
    if (again.kind !== 'admitted') throw new Error(again.why)
    again.reserved.release()
    await enforcer.stop()
    expect(figures(authority)).toMatchObject({ settled: 100n, leased: 0n })
  })

  it('charges what was used beyond the reservation', async () => {
    const authority = await leasing.authority()
    await open(authority, { limit: 100n })
    const enforcer = leasing.enforcer(authority)
    const admission = await enforcer.admit([calls(100n)])
    if (admission.kind !== 'admitted') throw new Error(admission.why)
    admission.reserved.settle(new Map([[CALLS, 130n]]))
    await enforcer.stop()
    expect(figures(authority)).toMatchObject({ settled: 130n, leased: 0n, free: -30n })
    expect(authority.account(CALLS_OF_ACME)?.unleasedUnits).toBe(30n)
  })

  it('a top-up lets the next request in', async () => {
    const authority = await leasing.authority()
    await open(authority, { limit: 10n })
    const enforcer = leasing.enforcer(authority)
    settledIn(await enforcer.admit([calls(10n)]))
    expect(await enforcer.admit([calls(1n)])).toMatchObject({ why: 'exhausted' })
    await authority.submit(
      CALLS_OF_ACME,
      { kind: 'grant', grantId: 'g', units: 1n, priority: 0, effectiveAt: leasing.now, expiresAt: 'epoch' },
      leasing.now,
    )
    settledIn(await enforcer.admit([calls(1n)]))
    expect(await enforcer.admit([calls(1n)])).toMatchObject({ why: 'exhausted' })
  })

  it('the turn of the period lets the next request in, and old leases serve the old period only', async () => {
    const authority = await leasing.authority()
    await open(authority)
    const enforcer = leasing.enforcer(authority)
    settledIn(await enforcer.admit([calls(1n)]))
    leasing.now = at('2023-12-01T00:00:00Z')
    settledIn(await enforcer.admit([calls(1000n)]))
    expect(await enforcer.admit([calls(1n)])).toMatchObject({ why: 'exhausted' })
  })

  it('gives back what a recall asks for', async () => {
    const authority = await leasing.authority()
    await open(authority, { limit: 100n })
    const holder = leasing.enforcer(authority)
    const admission = await holder.admit([calls(90n)])
    if (admission.kind !== 'admitted') throw new Error(admission.why)
    admission.reserved.release()
    const other = leasing.enforcer(authority, { waitMs: 1_000 })
    const waiting = other.admit([calls(60n)])
    holder.recall(CALLS_OF_ACME)
    settledIn(await waiting)
  })
})

describe('without a ledger that answers', () => {
  const failing = (authority: QuotaAuthority) => {
    const state = { fails: false }
    const submit: QuotaAuthority['submit'] = (...args) =>
      state.fails
        ? Promise.reject(new LogError('unavailable', 'away', { retryable: true }))
        : authority.submit(...args)
    return { state, authority: { ...authority, submit } }
  }
  const onFault = (): void => undefined

  it('closed: leases are served to the last unit, then the answer is that we cannot decide', async () => {
    const { state, authority } = failing(await leasing.authority())
    await open(authority)
    const enforcer = leasing.enforcer(authority, { onFault, waitMs: 50 })
    const first = await enforcer.admit([calls(20n)])
    if (first.kind !== 'admitted') throw new Error(first.why)
    first.reserved.release()
    state.fails = true
    let admitted = 0n
    let admission = await enforcer.admit([calls(1n)])
    for (; admission.kind === 'admitted'; admission = await enforcer.admit([calls(1n)])) {
      admission.reserved.settle()
      admitted++
    }
    expect(admission.why).toBe('unavailable')
    const { settled, leased } = figures(authority)
    expect([admitted >= 20n, admitted === settled + leased]).toEqual([true, true])
    state.fails = false
    settledIn(await enforcer.admit([calls(1n)]))
  })

  it('debt: so many units and no more, and the ledger is told of them when it is back', async () => {
    const { state, authority } = failing(await leasing.authority())
    await open(authority, { onUnavailable: 'debt' })
    const enforcer = leasing.enforcer(authority, { onFault, waitMs: 20, debtUnitsMax: 5n })
    state.fails = true
    for (let i = 0; i < 5; i++) settledIn(await enforcer.admit([calls(1n)]))
    expect(await enforcer.admit([calls(1n)])).toMatchObject({ why: 'unavailable' })
    state.fails = false
    await enforcer.housekeep()
    expect(figures(authority).settled).toBe(5n)
    await enforcer.housekeep()
    expect(figures(authority).settled).toBe(5n)
  })

  it('open: everything passes, and is told later', async () => {
    const { state, authority } = failing(await leasing.authority())
    await open(authority, { onUnavailable: 'open' })
    const enforcer = leasing.enforcer(authority, { onFault, waitMs: 20 })
    state.fails = true
    for (let i = 0; i < 3; i++) settledIn(await enforcer.admit([calls(500n)]))
    state.fails = false
    await enforcer.housekeep()
    expect(figures(authority).settled).toBe(1500n)
  })
})

describe('a holder that is gone', () => {
  it('I10: is declared lost, its units stay charged, and nobody is told to wait for them', async () => {
    const authority = await leasing.authority()
    await open(authority, { limit: 100n })
    const gone = leasing.enforcer(authority, { holder: 'gone' })
    const held = await gone.admit([calls(60n)])
    expect(held.kind).toBe('admitted')
    const enforcer = leasing.enforcer(authority, { holder: 'alive', waitMs: 500 })
    expect(await enforcer.admit([calls(50n)])).toMatchObject({ kind: 'refused', why: 'inFlight' })
    const deps = { authority, isAlive: (holder: string) => holder !== 'gone', testClock: () => leasing.now }
    expect([await declareLostHolders(deps), await declareLostHolders(deps)]).toEqual([1, 0])
    const { settled, forfeited, free } = figures(authority)
    expect([settled, forfeited >= 60n, forfeited + (free ?? 0n)]).toEqual([0n, true, 100n])
    expect(await enforcer.admit([calls(50n)])).toMatchObject({ kind: 'refused', why: 'exhausted' })
    settledIn(await enforcer.admit([calls(100n - forfeited)]))
  })
})

describe('an authority', () => {
  it('I11: starts again from snapshot and log with the same books', async () => {
    const first = await leasing.authority({ snapshotEvery: 3 })
    await open(first)
    for (let n = 1; n <= 10; n++) {
      await first.submit(CALLS_OF_ACME, { kind: 'charge', source: 's', cumulative: BigInt(n) }, leasing.now)
    }
    expect(leasing.snapshots.saved.size).toBe(1)
    const second = await leasing.authority()
    expect(second.account(CALLS_OF_ACME)).toEqual(first.account(CALLS_OF_ACME))
    leasing.snapshots.saved.clear()
    const third = await leasing.authority()
    expect(third.account(CALLS_OF_ACME)).toEqual(first.account(CALLS_OF_ACME))
  })

  it('I11: two authorities tell the same hash at the same offset', async () => {
    const hashes = [new Map<string, string>(), new Map<string, string>()]
    const authorities = await Promise.all(
      hashes.map((told) =>
        leasing.authority({
          snapshotEvery: 2,
          onHash: (partition, offset, hash) => told.set(`${partition}:${offset}`, hash),
        }),
      ),
    )
    const [first, second] = authorities
    if (first === undefined || second === undefined) throw new Error('no authority')
    await open(first)
    for (let n = 1; n <= 9; n++) {
      const authority = n % 2 === 0 ? first : second
      await authority.submit(
        CALLS_OF_ACME,
        { kind: 'charge', source: 's', cumulative: BigInt(n) },
        leasing.now,
      )
    }
    await eventually(
      () => hashes.map((told) => told.size),
      (sizes) => sizes.every((size) => size === 5),
      2_000,
    )
    expect(hashes[0]).toEqual(hashes[1])
  })

  it('tells rungs when they are reached', async () => {
    const told: string[] = []
    const authority = await leasing.authority({ onReached: (_, rungs) => told.push(...rungs) })
    await open(authority, { ladder: [{ at: '0.8', action: 'notify' }] })
    for (const cumulative of [799n, 800n, 900n]) {
      await authority.submit(CALLS_OF_ACME, { kind: 'charge', source: 's', cumulative }, leasing.now)
    }
    expect(told).toEqual(['0.8 notify'])
  })

  it('answers nobody after its end', async () => {
    const authority = await leasing.authority({ answerWithinMs: 20 })
    await authority.stop()
    await expect(authority.submit(CALLS_OF_ACME, { kind: 'tick' })).rejects.toMatchObject({
      code: 'unavailable',
    })
  })
})
