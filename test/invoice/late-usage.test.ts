import { describe, expect, it } from 'vitest'
import type { CustomerKey } from '../../src/id/ids.ts'
import { createInvoicing } from '../../src/invoice/invoicing.ts'
import type { BillablePlan } from '../../src/invoice/billable.ts'
import { createInvoiceVerifier } from '../../src/invoice/verify.ts'
import { customerOf, openBillingWorld } from '../support/billing-world.ts'
import { aPlan, aPrice, aSubscription, type FakeUsage, instant, TENANT } from '../support/invoicing.ts'

const KEY = 'c0' as CustomerKey
const volume = aPrice(
  'calls',
  {
    price: {
      model: 'volume',
      tiers: [
        { upTo: '100', unitAmount: '1.00' },
        { upTo: null, unitAmount: '0.50' },
      ],
    },
  },
  { meter: 'calls' },
)
const fee = aPrice('base', { price: { model: 'flat', amount: '10.00' } })
const use = (at: string, quantity: string): FakeUsage => ({
  meter: 'calls',
  at: `${at}T12:00:00Z`,
  quantity,
  subject: KEY,
})

function open(plan: BillablePlan, rate = '0') {
  const taxRates = rate === '0' ? [] : [{ name: 'VAT', rate: { coefficient: BigInt(rate), scale: 2 } }]
  const world = openBillingWorld([
    { customer: customerOf(KEY, { taxRates }), subscriptions: [aSubscription(plan, '2023-11-01')] },
  ])
  const close = async (periodEnd: string, now: string) => {
    world.now = instant(now)
    return createInvoicing(world.deps).close({ tenant: TENANT, customer: KEY, periodEnd: instant(periodEnd) })
  }
  return { world, close }
}

describe('usage that comes after the cut of its period', () => {
  it('INV-39 and LATE-001: is the difference of two re-rated totals on the next invoice, with period and price version', async () => {
    const { world, close } = open(aPlan([fee, volume], { version: 3 }))
    world.events.push(use('2023-11-10', '60'))
    const november = await close('2023-12-01', '2023-12-01')
    if (november.kind !== 'finalized') throw new Error(november.kind)
    world.events.push(use('2023-11-20', '30'))
    const december = await close('2024-01-01', '2024-01-01')
    if (december.kind !== 'finalized') throw new Error(december.kind)
    expect(december.invoice.lines).toMatchObject([
      {
        kind: 'lateUsage',
        revision: 1,
        quantity: '30',
        amount: '30.00',
        planVersion: 3,
        start: '2023-11-01T00:00:00Z',
        end: '2023-12-01T00:00:00Z',
        corrects: ['INV-000001'],
      },
      { kind: 'recurring', amount: '10.00' },
      { kind: 'usage', quantity: '0', amount: '0.00' },
    ])
    expect(december.invoice.lines[0]?.explanation).toContain('60.00 USD of it on INV-000001')
    expect(await world.store.get(TENANT, november.invoice.id)).toEqual(november.invoice)
  })

  it('LATE-002: more usage in a cheaper tier is a negative line, and a negative total becomes credit', async () => {
    const { world, close } = open(aPlan([volume]))
    world.events.push(use('2023-11-10', '100'))
    await close('2023-12-01', '2023-12-01')
    world.events.push(use('2023-11-20', '1'))
    const december = await close('2024-01-01', '2024-01-01')
    // 101 at 0.50 are 50.50, 100 at 1.00 were 100.00.
    expect(december).toMatchObject({
      invoice: { state: 'paid', total: '-49.50', amountPaid: '0.00' },
      creditNotes: [],
    })
    expect(await world.store.receivables.balance(TENANT, KEY)).toEqual(new Map([['USD', '49.50']]))
    world.events.push(use('2024-01-10', '20'))
    expect(await close('2024-02-01', '2024-02-01')).toMatchObject({
      invoice: { state: 'paid', total: '20.00', amountPaid: '20.00' },
    })
    expect(await world.store.receivables.balance(TENANT, KEY)).toEqual(new Map([['USD', '29.50']]))
  })

  it('INV-40: is a credit note where the plan says so, taxed with the rates of what it corrects', async () => {
    const { world, close } = open(aPlan([fee, volume], { corrections: 'creditNote' }), '19')
    world.events.push(use('2023-11-10', '100'))
    expect(await close('2023-12-01', '2023-12-01')).toMatchObject({
      invoice: { subtotal: '110.00', total: '130.90' },
    })
    // The customer's rate changes; the credit keeps the old one.
    const [customer] = world.customers
    if (customer === undefined) throw new Error('no customer')
    Object.assign(customer, {
      customer: customerOf(KEY, { taxRates: [{ name: 'VAT', rate: { coefficient: 20n, scale: 2 } }] }),
    })
    world.events.push(use('2023-11-20', '1'))
    const december = await close('2024-01-01', '2024-01-01')
    expect(december).toMatchObject({
      kind: 'finalized',
      invoice: { lines: [{ kind: 'recurring' }, { kind: 'usage' }], subtotal: '10.00', tax: '2.00' },
      creditNotes: [
        {
          number: 'CN-000001',
          corrects: 'INV-000001',
          subtotal: '49.50',
          taxes: [{ name: 'VAT', rate: '0.19', base: '49.50', amount: '9.41' }],
          total: '58.91',
          lines: [{ kind: 'lateUsage', amount: '49.50', correctsLine: expect.any(String) as string }],
        },
      ],
    })
    expect(await close('2024-02-01', '2024-02-01')).toMatchObject({
      creditNotes: [],
      invoice: { subtotal: '10.00' },
    })
  })

  it('takes back what was voided after it was invoiced', async () => {
    const { world, close } = open(aPlan([volume], { corrections: 'creditNote' }))
    world.events.push(use('2023-11-10', '40'), use('2023-11-11', '5'))
    await close('2023-12-01', '2023-12-01')
    world.events.push({ ...use('2023-12-02', '0'), voids: 0 })
    expect(await close('2024-01-01', '2024-01-01')).toMatchObject({
      creditNotes: [{ total: '40.00', corrects: 'INV-000001' }],
      invoice: { total: '0.00' },
    })
  })

  it('goes to the next invoice where the one that billed it has no room left for a credit note', async () => {
    const { world, close } = open(aPlan([volume], { corrections: 'creditNote' }))
    world.events.push(use('2023-11-10', '40'))
    const november = await close('2023-12-01', '2023-12-01')
    if (november.kind !== 'finalized') throw new Error(november.kind)
    const { createCrediting } = await import('../../src/invoice/crediting.ts')
    await createCrediting({ store: world.store, receivables: world.store.receivables }).credit({
      tenant: TENANT,
      invoice: november.invoice.id,
      lines: [{ line: november.invoice.lines[0]?.id ?? '', amount: { coefficient: 3900n, scale: 2 } }],
      reason: 'goodwill',
      at: instant('2023-12-02'),
    })
    world.events.push({ ...use('2023-12-02', '0'), voids: 0 })
    expect(await close('2024-01-01', '2024-01-01')).toMatchObject({
      creditNotes: [],
      invoice: { total: '-40.00', lines: [{ kind: 'lateUsage', amount: '-40.00' }, {}] },
    })
  })

  it('with nothing else to bill is a credit note and no invoice, and the close answers it again', async () => {
    const world = openBillingWorld([
      {
        customer: customerOf(KEY),
        subscriptions: [
          aSubscription(aPlan([volume], { corrections: 'creditNote' }), '2023-11-01', { end: '2023-12-01' }),
        ],
      },
    ])
    world.events.push(use('2023-11-10', '40'))
    world.now = instant('2023-12-01')
    const invoicing = createInvoicing(world.deps)
    await invoicing.close({ tenant: TENANT, customer: KEY, periodEnd: world.now })
    world.events.push({ ...use('2023-12-02', '0'), voids: 0 })
    world.now = instant('2024-01-07')
    const request = { tenant: TENANT, customer: KEY, periodEnd: instant('2024-01-06') }
    const credited = await invoicing.close(request)
    expect(credited).toMatchObject({ kind: 'credited', creditNotes: [{ total: '40.00' }] })
    expect(await invoicing.close(request)).toEqual(credited)
    expect(await world.run().runDue(world.now)).toMatchObject({ finalized: 0, credited: 0 })
  })
})

describe('verification', () => {
  async function closedTwice() {
    const { world, close } = open(aPlan([fee, volume]), '19')
    world.events.push(use('2023-11-10', '60'))
    await close('2023-12-01', '2023-12-01')
    world.events.push(use('2023-11-20', '30'), use('2023-12-20', '3'))
    const second = await close('2024-01-01', '2024-01-01')
    if (second.kind !== 'finalized') throw new Error(second.kind)
    const verifier = (over: object = {}) =>
      createInvoiceVerifier({
        archive: { ...world.store, ...over },
        usage: world.deps.usage,
        commitment: null,
        journalWaitMs: 1,
      })
    return { world, close, invoice: second.invoice, verifier }
  }

  it('I5: comes out the same to the byte, whatever came and was voided since', async () => {
    const { world, close, invoice, verifier } = await closedTwice()
    world.events.push(use('2023-12-21', '500'), { ...use('2024-01-02', '0'), voids: 0 })
    await close('2024-02-01', '2024-02-01')
    for (const { id } of (
      await world.store.list(TENANT, { customer: KEY, state: null, limit: 9, after: null })
    ).data) {
      expect(await verifier().verify(TENANT, id)).toMatchObject({ ok: true, differences: [] })
    }
    const first = (await world.store.ledger(TENANT, KEY)).invoices[0]
    await world.store.receivables.command(
      TENANT,
      first?.id ?? invoice.id,
      { kind: 'void', reason: null, rebill: false },
      world.now,
    )
    expect(await verifier().verify(TENANT, invoice.id)).toMatchObject({ ok: true })
  })

  it('finds a changed amount, a changed hash and a chain that was cut', async () => {
    const { world, invoice, verifier } = await closedTwice()
    const record = await world.store.record(TENANT, invoice.id)
    if (record === null) throw new Error('no record')
    const tampered = record.text.replace('"amount":"30.00"', '"amount":"31.00"')
    expect(tampered).not.toBe(record.text)
    expect(
      await verifier({ record: async () => ({ ...record, text: tampered }) }).verify(TENANT, invoice.id),
    ).toMatchObject({
      ok: false,
      differences: [{ pointer: '/lines/0/amount', stored: '31.00', computed: '30.00' }, { pointer: '/hash' }],
    })
    const other = 'f'.repeat(64)
    expect(
      await verifier({ record: async () => ({ ...record, hash: other }) }).verify(TENANT, invoice.id),
    ).toMatchObject({ ok: false })
    expect(
      await verifier({ record: async () => ({ ...record, hashBefore: other }) }).verify(TENANT, invoice.id),
    ).toMatchObject({
      ok: false,
      differences: [{ pointer: '/previousHash' }],
    })
  })

  it('finds events that are gone', async () => {
    const { world, invoice, verifier } = await closedTwice()
    world.events.splice(1, 1, use('2023-11-20', '29'))
    expect(await verifier().verify(TENANT, invoice.id)).toMatchObject({ ok: false })
  })

  it('is a line of the next invoice where the one that billed it was written off, whatever the plan says', async () => {
    const { world, close } = open(aPlan([volume], { corrections: 'creditNote' }))
    world.events.push(use('2023-11-10', '90'))
    const november = await close('2023-12-01', '2023-12-01')
    if (november.kind !== 'finalized') throw new Error(november.kind)
    const command = { kind: 'writeOff', reason: null } as const
    await world.store.receivables.command(TENANT, november.invoice.id, command, world.now)
    // 120 calls at 0.50 are less than 90 at 1.00.
    world.events.push(use('2023-11-20', '30'))
    const december = await close('2024-01-01', '2024-01-01')
    if (december.kind !== 'finalized') throw new Error(december.kind)
    expect((await world.store.ledger(TENANT, KEY)).creditNotes).toEqual([])
    expect(december.invoice.lines).toMatchObject([
      { kind: 'lateUsage', amount: '-30.00', corrects: ['INV-000001'] },
      { kind: 'usage', amount: '0.00' },
    ])
  })
})
