import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCustomer } from '../../src/customer/customer-parse.ts'
import type { CustomerKey } from '../../src/id/ids.ts'

const KEY = 'acme' as CustomerKey
const customer = { name: 'Acme', currency: 'USD', timezone: 'Europe/Berlin' }

const faultsOf = (raw: unknown): readonly string[] => {
  const parsed = parseCustomer(raw, KEY)
  return parsed.kind === 'customer' ? [] : parsed.faults.map((fault) => fault.pointer)
}
const billed = (billing: unknown) => ({ ...customer, billing })

describe('a customer', () => {
  it('has itself as its subject, no details and the clock of the system, where it says nothing', () => {
    expect(parseCustomer(customer, KEY)).toEqual({
      kind: 'customer',
      definition: { ...customer, subjects: ['acme'], billing: {}, testClock: null },
    })
  })

  it('may have no subjects; one that is named twice is one', () => {
    expect(parseCustomer({ ...customer, subjects: [] }, KEY)).toMatchObject({ definition: { subjects: [] } })
    expect(parseCustomer({ ...customer, subjects: ['b', 'a', 'b'] }, KEY)).toMatchObject({
      definition: { subjects: ['b', 'a'] },
    })
  })

  it('has its details as they are written', () => {
    const billing = {
      legalName: 'Acme GmbH',
      email: 'billing@acme.test',
      address: { line1: 'Weg 1', city: 'Köln', postalCode: '50667', country: 'DE' },
      taxId: 'DE123456789',
      paymentTermsDays: 0,
      purchaseOrder: 'PO-7',
      taxRates: [{ name: 'VAT', rate: '0.190' }],
    }
    expect(parseCustomer({ ...billed(billing), testClock: 'clk_1' }, KEY)).toMatchObject({
      definition: { billing: { ...billing, taxRates: [{ name: 'VAT', rate: '0.19' }] }, testClock: 'clk_1' },
    })
    expect(parseCustomer({ ...customer, billing: null, testClock: null }, KEY).kind).toBe('customer')
  })
})

describe('each fault of a customer stands at its pointer', () => {
  const cases: readonly (readonly [unknown, ...(readonly string[])])[] = [
    ['Acme', ''],
    [{}, '/name', '/currency', '/timezone'],
    [{ ...customer, plan: 'basic' }, '/plan'],
    [{ ...customer, name: '' }, '/name'],
    [{ ...customer, name: 'tab\there' }, '/name'],
    [{ ...customer, currency: 'Usd' }, '/currency'],
    [{ ...customer, timezone: 'Mars/Olympus' }, '/timezone'],
    [{ ...customer, timezone: '+01:00' }, '/timezone'],
    [{ ...customer, timezone: 1 }, '/timezone'],
    [{ ...customer, testClock: 7 }, '/testClock'],
    [{ ...customer, subjects: 'acme' }, '/subjects'],
    [
      { ...customer, subjects: [1, '', 'x'.repeat(256), 'fine'] },
      '/subjects/0',
      '/subjects/1',
      '/subjects/2',
    ],
    [{ ...customer, subjects: Array.from({ length: 10_001 }, (_, i) => `s${String(i)}`) }, '/subjects'],
    [billed([]), '/billing'],
    [billed({ iban: 'x' }), '/billing/iban'],
    [billed({ legalName: ' ' }), '/billing/legalName'],
    [billed({ email: 'acme' }), '/billing/email'],
    [billed({ email: 'a b@c' }), '/billing/email'],
    [billed({ address: 'Weg 1' }), '/billing/address'],
    [billed({ address: { street: 'Weg 1' } }), '/billing/address/street'],
    [billed({ address: { country: 'Germany' } }), '/billing/address/country'],
    [billed({ address: { city: 7 } }), '/billing/address/city'],
    [billed({ paymentTermsDays: -1 }), '/billing/paymentTermsDays'],
    [billed({ paymentTermsDays: 30.5 }), '/billing/paymentTermsDays'],
    [billed({ paymentTermsDays: '30' }), '/billing/paymentTermsDays'],
    [billed({ paymentTermsDays: 366 }), '/billing/paymentTermsDays'],
    [billed({ taxRates: {} }), '/billing/taxRates'],
    [
      billed({ taxRates: Array.from({ length: 9 }, () => ({ name: 'VAT', rate: '0.1' })) }),
      '/billing/taxRates',
    ],
    [billed({ taxRates: [{ rate: '0.1' }] }), '/billing/taxRates/0/name'],
    [
      billed({
        taxRates: [0.19, '1.1', '-0.1', '19%', undefined].map((rate) => ({ name: 'VAT', rate })),
      }),
      '/billing/taxRates/0/rate',
      '/billing/taxRates/1/rate',
      '/billing/taxRates/2/rate',
      '/billing/taxRates/3/rate',
      '/billing/taxRates/4/rate',
    ],
  ]
  it.each(cases.map(([raw, ...pointers]) => [pointers.join(' ') || '(the whole)', raw, pointers] as const))(
    '%s',
    (_name, raw, pointers) => {
      expect(faultsOf(raw)).toEqual(pointers)
    },
  )

  it('whatever is sent is read or refused, never thrown at', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('name', 'subjects', 'currency', 'timezone', 'billing', 'testClock'),
        fc.jsonValue(),
        (member, value) => {
          for (const sent of [value, { ...customer, [member]: value }, billed({ [member]: value })]) {
            const parsed = parseCustomer(sent, KEY)
            if (parsed.kind === 'faulty') expect(parsed.faults.length).toBeGreaterThan(0)
          }
        },
      ),
    )
  })
})
