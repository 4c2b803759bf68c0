import { describe, expect, it } from 'vitest'
import type { BillRunDeps } from '../../src/invoice/bill-run.ts'
import { createInvoicing } from '../../src/invoice/invoicing.ts'
import { type BillingWorld, customerOf, openBillingWorld } from '../support/billing-world.ts'
import { aPlan, aPrice, aSubscription, instant, TENANT } from '../support/invoicing.ts'

const PLAN = aPlan([
  aPrice('base', { price: { model: 'flat', amount: '10.00' } }, { payment: 'inAdvance' }),
  aPrice('calls', { price: { model: 'unit', unitAmount: '0.01' } }, { meter: 'calls' }),
])
const NOW = instant('2024-02-10')

function world(): BillingWorld {
  const customers = Array.from({ length: 2 }, (_, i) => ({
    customer: customerOf(`c${i}`),
    subscriptions: [
      aSubscription(PLAN, '2023-11-15', { id: `sub_${i}`, ...(i === 1 ? { end: '2024-01-10' } : {}) }),
    ],
  }))
  const opened = openBillingWorld(customers)
  for (let i = 0; i < 2; i++) {
    opened.events.push({
      meter: 'calls',
      at: '2023-11-20T00:00:00Z',
      quantity: `${i + 1}00`,
      subject: `c${i}`,
    })
    opened.events.push({ meter: 'calls', at: '2024-01-05T00:00:00Z', quantity: '7', subject: `c${i}` })
  }
  return opened
}

class Killed extends Error {}

/**
 * The dependencies of a process that dies at its `n`-th call to the outside, before the call or right after it took
 * effect, and from then on does nothing any more.
 */
function dyingAt(deps: BillRunDeps, n: number, after: boolean): { deps: BillRunDeps; calls: () => number } {
  let calls = 0
  const wrap = <T extends object>(port: T): T =>
    new Proxy(port, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return (...args: unknown[]): unknown => {
          const call = ++calls
          if (call > n || (call === n && !after)) throw new Killed()
          const answer: unknown = Reflect.apply(member, target, args)
          if (call < n) return answer
          return Promise.resolve(answer).then(() => {
            throw new Killed()
          })
        }
      },
    })
  const ports = {
    ...deps,
    directory: wrap(deps.directory),
    usage: wrap(deps.usage),
    checks: wrap(deps.checks),
    store: wrap(deps.store),
    schedule: wrap(deps.schedule),
    onFault: () => undefined,
  }
  return { deps: { ...ports, invoicing: createInvoicing(ports) }, calls: () => calls }
}

async function summary(opened: BillingWorld): Promise<unknown> {
  const { data } = await opened.store.list(TENANT, { customer: null, state: null, limit: 1000, after: null })
  return data.map(({ customer, periodEnd, total }) => `${customer} ${periodEnd} ${total}`).sort()
}

describe('a bill run that is killed', () => {
  it('I9: at every step, before and after it took effect, makes one invoice an account and period without a gap', async () => {
    const undisturbed = world()
    const { deps, calls } = dyingAt(undisturbed.deps, Infinity, false)
    await undisturbed.run(deps).runDue(NOW)
    const expected = await summary(undisturbed)
    const steps = calls()
    expect(steps).toBeGreaterThan(30)
    for (let n = 1; n <= steps; n++) {
      for (const after of [false, true]) {
        const opened = world()
        const dying = dyingAt(opened.deps, n, after)
        await opened
          .run(dying.deps)
          .runDue(NOW)
          .catch((error: unknown) => {
            if (!(error instanceof Killed)) throw error
          })
        await opened.run().runDue(instant('2024-02-10T00:10:00Z'))
        expect(await summary(opened), `killed at call ${n}, ${after ? 'after' : 'before'} it`).toEqual(
          expected,
        )
        const { data } = await opened.store.list(TENANT, {
          customer: null,
          state: null,
          limit: 1000,
          after: null,
        })
        const numbers = data.map(({ number }) => number ?? '').sort()
        expect(numbers).toEqual(numbers.map((_, i) => `INV-${String(i + 1).padStart(6, '0')}`))
      }
    }
  })
})
