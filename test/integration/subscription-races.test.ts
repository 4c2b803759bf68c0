import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import type { SubscriptionId } from '../../src/id/ids.ts'
import type { SubscriptionCommand } from '../../src/subscription/subscription-book.ts'
import { instantOf } from '../../src/time/instant.ts'
import {
  at,
  createControl,
  customerDefinition,
  customerKey,
  feeOf,
  planKey,
  subscriptionId,
} from '../support/control.ts'
import { openTestDatabase } from '../support/database.ts'

let database: Database
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(async () => database.stop())

const DAY = 86_400_000

/** Numbers that look random and are the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

it('I6: plans, customers, clocks, commands and the calendar at the same moment: nobody waits for ever, nothing is torn', async () => {
  const control = await createControl(database)
  const { tenant, book, plans, customers, clocks } = control
  const clock = await control.clock('clk_1', '2024-01-01')
  await control.putPlan('a')
  await control.putPlan('b', feeOf('50.00'))
  await control.putCustomer('timed', { testClock: clock })
  await control.putCustomer('other')
  const ids: SubscriptionId[] = []
  for (const customer of ['timed', 'other', 'timed', 'other']) {
    const startsAt = at(ids.length < 2 ? '2024-01-01' : '2024-01-05')
    const outcome = await control.subscribe(
      { customer: customerKey(customer), plan: planKey('a'), startsAt },
      '2024-01-01',
    )
    if (outcome.kind !== 'created') throw new Error(outcome.kind)
    ids.push(outcome.held.subscription.id)
  }
  const next = numbers(20_240_101)
  let systemNow = at('2024-01-01')
  let clockNow = systemNow
  const commands: readonly SubscriptionCommand[] = [
    { kind: 'cancel', at: 'periodEnd', reason: null },
    { kind: 'uncancel' },
    { kind: 'pause', resumeAt: null },
    { kind: 'resume' },
  ]
  const one = (i: number): Promise<unknown> => {
    const id = ids[next(ids.length)] ?? subscriptionId('')
    const plan = planKey(next(2) === 0 ? 'a' : 'b')
    switch (next(7)) {
      case 0:
        return plans.put(
          tenant,
          plan,
          feeOf(`${String(i + 1)}.00`, {
            existingSubscriptions: next(2) === 0 ? 'immediate' : 'nextRenewal',
          }),
          systemNow,
        )
      case 1:
        return book.changePlan(
          tenant,
          id,
          { plan, at: next(2) === 0 ? 'now' : 'periodEnd', overrides: {} },
          systemNow,
        )
      case 2:
        clockNow = instantOf(clockNow + next(3) * DAY)
        return clocks.advance(tenant, clock, clockNow)
      case 3:
        return book.runDue(systemNow)
      case 4:
        return customers.put(
          tenant,
          customerKey('timed'),
          customerDefinition('timed', { name: `Name ${String(i)}`, testClock: clock }),
          systemNow,
        )
      default:
        return book.command(tenant, id, commands[next(commands.length)] ?? { kind: 'resume' }, systemNow)
    }
  }
  for (let round = 0; round < 40; round++) {
    systemNow = instantOf(systemNow + next(2) * DAY)
    await Promise.all(Array.from({ length: 10 }, (_, i) => one(round * 10 + i)))
  }

  const newest = new Map([
    ['a', (await plans.current(tenant, planKey('a')))?.version],
    ['b', (await plans.current(tenant, planKey('b')))?.version],
  ])
  expect(Math.min(...[...newest.values()].map((version) => version ?? 0))).toBeGreaterThan(3)
  for (const id of ids) {
    const held = await book.get(tenant, id)
    if (held === null) throw new Error(id)
    const { phases, pauses, state, endedAt } = held.subscription
    const starts = phases.map((phase) => phase.start)
    expect(starts).toEqual([...new Set(starts)].sort((x, y) => x - y))
    expect(pauses.filter((pause) => pause.end === null)).toHaveLength(state === 'paused' ? 1 : 0)
    // Every version reached everybody: whoever goes on is under the newest one in the end.
    const last = phases.at(-1)
    if (endedAt === null && last !== undefined) expect(last.version).toBe(newest.get(last.plan))
    const rows = await database.db
      .selectFrom('subscription_events')
      .select('number')
      .where('tenant', '=', tenant)
      .where('subscription', '=', id)
      .orderBy('number')
      .execute()
    expect(rows.map((row) => row.number)).toEqual(rows.map((_, i) => i + 1))
  }
})
