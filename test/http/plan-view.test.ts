import { expect, it } from 'vitest'
import { parsePlan } from '../../src/catalog/plan-parse.ts'
import { planView } from '../../src/http/plan-shapes.ts'
import type { PlanKey, TenantId } from '../../src/id/ids.ts'
import { instantOf } from '../../src/time/instant.ts'

it('a plan is answered with all that was written of it, so that an export can be put again', () => {
  const price = { model: 'flat', amount: '10.00' }
  const written = {
    name: 'Basic',
    currency: 'USD',
    interval: 'month',
    prices: [
      { key: 'fee', name: 'Fee', payment: 'inArrears', price, discounts: [{ percent: '10', periods: 3 }] },
    ],
    corrections: 'creditNote',
    minimum: '50',
    maximum: '90',
  }
  const parsed = parsePlan(written)
  if (parsed.kind === 'faulty') throw new Error(JSON.stringify(parsed.faults))
  const { definition, effectiveAt, existingSubscriptions } = parsed.draft
  const view = planView({
    ...definition,
    tenant: 'default' as TenantId,
    key: 'basic' as PlanKey,
    version: 1,
    effectiveAt,
    existingSubscriptions,
    createdAt: instantOf(0),
  })
  expect(view).toMatchObject(written)
})
