import { beforeEach, describe, expect, it } from 'vitest'
import type { CustomerKey, InvoiceId, TenantId } from '../../src/id/ids.ts'
import { createCrediting } from '../../src/invoice/crediting.ts'
import type { Invoice } from '../../src/invoice/invoice.ts'
import { createInvoicing, type Invoicing } from '../../src/invoice/invoicing.ts'
import type { Finalization, InvoiceArchive, InvoiceStore } from '../../src/invoice/ports.ts'
import type { CreditNoteStore, NewPayment, ReceivablesStore } from '../../src/invoice/receivable-ports.ts'
import { createInvoiceVerifier } from '../../src/invoice/verify.ts'
import { decimal } from '../../src/money/decimal.ts'
import {
  ACME,
  aCustomer,
  aPlan,
  aPrice,
  aSubscription,
  fakeDeps,
  type FakeBilling,
  fakeUsage,
  instant,
  TENANT,
} from '../support/invoicing.ts'

export interface InvoiceStores {
  readonly store: InvoiceStore & InvoiceArchive
  readonly receivables: ReceivablesStore
  readonly creditNotes: CreditNoteStore
}

const AT = instant('2024-03-20')

/** What every store of invoices promises. @param make an empty one that knows the customers `acme` and `globex` */
export function describeInvoiceStore(name: string, make: () => Promise<InvoiceStores>): void {
  describe(name, () => {
    let stores: InvoiceStores
    beforeEach(async () => {
      stores = await make()
    })

    const invoicing = (given: FakeBilling = {}): Invoicing =>
      createInvoicing(
        fakeDeps({
          subscriptions: [aSubscription(flatPlan('10.00'), '2023-11-01')],
          now: () => '2024-03-20T00:00:00Z',
          ...given,
          store: stores.store,
        }),
      )
    const close = async (periodEnd: string, given: FakeBilling = {}): Promise<Invoice> => {
      const customer = given.customer?.key ?? ACME
      const outcome = await invoicing(given).close({
        tenant: TENANT,
        customer,
        periodEnd: instant(periodEnd),
      })
      if (outcome.kind !== 'finalized' && outcome.kind !== 'existing')
        throw new Error(JSON.stringify(outcome))
      return outcome.invoice
    }
    const pay = (invoice: Invoice, amount: string, key: string | null = null) =>
      stores.receivables.command(TENANT, invoice.id, { kind: 'pay', payment: payment(amount, key) }, AT)
    const credit = (invoice: Invoice, amount: string) =>
      createCrediting(stores).credit({
        tenant: TENANT,
        invoice: invoice.id,
        lines: [{ line: invoice.lines[0]?.id ?? '', amount: decimal(amount) }],
        reason: 'goodwill',
        at: AT,
      })

    it('gives back what was stored, to the byte', async () => {
      const invoice = await close('2023-12-01')
      expect(await stores.store.get(TENANT, invoice.id)).toEqual(invoice)
      const record = await stores.store.record(TENANT, invoice.id)
      expect(record).toMatchObject({ customer: 'acme', hash: invoice.hash, hashBefore: null })
      const verifier = createInvoiceVerifier({
        archive: stores.store,
        usage: fakeUsage([]),
        commitment: null,
        journalWaitMs: 1,
      })
      expect(await verifier.verify(TENANT, invoice.id)).toMatchObject({ ok: true, differences: [] })
      expect(await stores.store.get(TENANT, 'inv_none' as InvoiceId)).toBeNull()
      expect(await stores.store.get('other' as TenantId, invoice.id)).toBeNull()
      expect(await stores.store.record(TENANT, 'inv_none' as InvoiceId)).toBeNull()
    })

    it('I3: numbers have no gaps and each invoice names the hash of the one before', async () => {
      const globex = aCustomer({ key: 'globex' as CustomerKey })
      const all = [
        await close('2023-12-01'),
        await close('2023-12-01', { customer: globex }),
        await close('2024-01-01'),
      ]
      expect(all.map(({ number }) => number)).toEqual(['INV-000001', 'INV-000002', 'INV-000003'])
      expect(all.map(({ previousHash }) => previousHash)).toEqual([null, all[0]?.hash, all[1]?.hash])
    })

    it('I4: of two closes of one period one makes the invoice and both answer it', async () => {
      const both = await Promise.all([close('2023-12-01'), close('2023-12-01'), close('2023-12-01')])
      expect(new Set(both.map(({ id }) => id)).size).toBe(1)
      const { data } = await stores.store.list(TENANT, {
        customer: null,
        state: null,
        limit: 10,
        after: null,
      })
      expect(data).toHaveLength(1)
    })

    it('finalizes many at once; an outdated one takes no number and does not touch the others', async () => {
      const good = await finalizationOf(stores.store, ACME)
      const outcomes = await stores.store.finalizeMany([{ ...good, basedOn: 99 }, good])
      expect(outcomes.map(({ kind }) => kind)).toEqual(['outdated', 'finalized'])
      expect(outcomes[1]).toMatchObject({ invoice: { number: 'INV-000001' } })
    })

    it('lists latest first, by customer and state, in pages', async () => {
      const globex = aCustomer({ key: 'globex' as CustomerKey })
      for (const end of ['2023-12-01', '2024-01-01', '2024-02-01']) {
        await close(end, { now: () => `${end}T01:00:00Z` })
        await close(end, { customer: globex, now: () => `${end}T02:00:00Z` })
      }
      const seen: string[] = []
      let after: Parameters<InvoiceStore['list']>[1]['after'] = null
      do {
        const page = await stores.store.list(TENANT, { customer: null, state: 'finalized', limit: 4, after })
        seen.push(...page.data.map(({ number }) => number ?? ''))
        after = page.next
      } while (after !== null)
      expect(seen).toEqual([6, 5, 4, 3, 2, 1].map((n) => `INV-00000${n}`))
      const own = await stores.store.list(TENANT, { customer: ACME, state: null, limit: 10, after: null })
      expect(own.data.map(({ number }) => number)).toEqual(['INV-000005', 'INV-000003', 'INV-000001'])
      const none = await stores.store.list(TENANT, { customer: ACME, state: 'paid', limit: 10, after: null })
      expect(none).toEqual({ data: [], next: null })
    })

    it('I6: a payment settles, a part does not, and what is too much becomes credit', async () => {
      const invoice = await close('2023-12-01')
      expect(await pay(invoice, '4.00')).toMatchObject({
        kind: 'done',
        invoice: { state: 'finalized', amountPaid: '4.00' },
        payment: { applied: '4.00', toBalance: '0.00' },
      })
      expect(await pay(invoice, '10.00')).toMatchObject({
        invoice: { state: 'paid', amountPaid: '10.00' },
        payment: { applied: '6.00', toBalance: '4.00' },
      })
      expect(await stores.receivables.balance(TENANT, ACME)).toEqual(new Map([['USD', '4.00']]))
      const next = await close('2024-01-01')
      expect(next).toMatchObject({ state: 'finalized', total: '10.00', amountPaid: '4.00' })
      expect(await stores.receivables.payments(TENANT, next.id)).toMatchObject([
        { kind: 'balance', amount: '4.00' },
      ])
      expect(await stores.receivables.balance(TENANT, ACME)).toEqual(new Map([['USD', '0.00']]))
      const history = await stores.receivables.history(TENANT, invoice.id)
      expect(history.map(({ event }) => event)).toEqual([
        'invoice.finalized',
        'invoice.payment_applied',
        'invoice.paid',
      ])
    })

    it('I6: the same Idempotency-Key records a payment once', async () => {
      const invoice = await close('2023-12-01')
      const first = await pay(invoice, '4.00', 'k1')
      const again = await pay(invoice, '4.00', 'k1')
      expect(again).toMatchObject({ kind: 'done', invoice: { amountPaid: '4.00' } })
      expect(first.kind === 'done' && again.kind === 'done' && first.payment?.id === again.payment?.id).toBe(
        true,
      )
      expect(await pay(invoice, '5.00', 'k1')).toEqual({ kind: 'keyReused' })
      expect(await stores.receivables.payments(TENANT, invoice.id)).toHaveLength(1)
    })

    it('I6: a payment that comes back opens the invoice again, once', async () => {
      const invoice = await close('2023-12-01')
      const paid = await pay(invoice, '12.00')
      if (paid.kind !== 'done' || paid.payment === null) throw new Error(paid.kind)
      const command = { kind: 'returnPayment', payment: paid.payment.id, reason: 'R01' } as const
      expect(await stores.receivables.command(TENANT, invoice.id, command, AT)).toMatchObject({
        invoice: { state: 'finalized', amountPaid: '0.00' },
        payment: { returnReason: 'R01' },
      })
      expect(await stores.receivables.balance(TENANT, ACME)).toEqual(new Map([['USD', '0.00']]))
      expect(await stores.receivables.command(TENANT, invoice.id, command, AT)).toMatchObject({
        kind: 'alreadyReturned',
      })
      expect((await stores.receivables.history(TENANT, invoice.id)).at(-1)).toMatchObject({
        event: 'invoice.reopened',
        state: 'finalized',
      })
    })

    it('voids only what is not paid, and its period can be closed anew under another number', async () => {
      const paid = await close('2023-12-01')
      await pay(paid, '1.00')
      const voidIt = (invoice: Invoice) =>
        stores.receivables.command(TENANT, invoice.id, { kind: 'void', reason: null, rebill: false }, AT)
      expect(await voidIt(paid)).toEqual({ kind: 'guarded', guard: 'paymentsApplied' })
      const wrong = await close('2024-01-01')
      expect(await voidIt(wrong)).toMatchObject({ kind: 'done', invoice: { state: 'void' } })
      expect(await voidIt(wrong)).toEqual({ kind: 'illegal', state: 'void', event: 'void' })
      const again = await close('2024-01-01')
      expect(again).toMatchObject({ number: 'INV-000003', state: 'finalized', total: '10.00' })
      expect(again.id).not.toBe(wrong.id)
      expect(again.lines.map(({ id }) => id)).not.toEqual(wrong.lines.map(({ id }) => id))
    })

    it('gives customer credit back when the invoice that it paid is voided', async () => {
      const first = await close('2023-12-01')
      await pay(first, '13.00')
      const second = await close('2024-01-01')
      expect(second.amountPaid).toBe('3.00')
      await stores.receivables.command(TENANT, second.id, { kind: 'void', reason: null, rebill: true }, AT)
      expect(await stores.receivables.balance(TENANT, ACME)).toEqual(new Map([['USD', '3.00']]))
      expect((await stores.store.ledger(TENANT, ACME)).invoices.at(-1)).toMatchObject({
        state: 'void',
        rebill: true,
      })
    })

    it('writes off, and a late payment of all of it settles', async () => {
      const invoice = await close('2023-12-01')
      await pay(invoice, '3.00')
      const off = { kind: 'writeOff', reason: 'bankrupt' } as const
      expect(await stores.receivables.command(TENANT, invoice.id, off, AT)).toMatchObject({
        invoice: { state: 'uncollectible' },
      })
      expect(await pay(invoice, '2.00')).toEqual({ kind: 'guarded', guard: 'partOfWrittenOff' })
      expect(await pay(invoice, '7.00')).toMatchObject({ invoice: { state: 'paid', amountPaid: '10.00' } })
      expect(
        (await stores.receivables.history(TENANT, invoice.id)).map(({ event }) => event).slice(-2),
      ).toEqual(['invoice.paid', 'bad_debt.recovered'])
    })

    it('I7: credit notes take off what is due, then become credit, and never exceed the invoice', async () => {
      const invoice = await close('2023-12-01')
      expect(await credit(invoice, '4.00')).toMatchObject({
        kind: 'done',
        invoice: { state: 'finalized', amountCredited: '4.00' },
        creditNote: { number: 'CN-000001', corrects: 'INV-000001', total: '4.00', state: 'applied' },
      })
      await pay(invoice, '5.00')
      expect(await credit(invoice, '3.00')).toMatchObject({
        invoice: { state: 'paid', amountCredited: '5.00' },
        creditNote: {
          number: 'CN-000002',
          appliedToInvoice: '1.00',
          addedToBalance: '2.00',
          state: 'balance',
        },
      })
      expect(await credit(invoice, '3.01')).toMatchObject({ kind: 'exceedsLine', left: '3.00' })
      expect(await stores.receivables.balance(TENANT, ACME)).toEqual(new Map([['USD', '2.00']]))
      const page = await stores.creditNotes.list(TENANT, {
        customer: ACME,
        invoice: null,
        limit: 1,
        after: null,
      })
      expect(page.data.map(({ number }) => number)).toHaveLength(1)
      const rest = await stores.creditNotes.list(TENANT, {
        customer: ACME,
        invoice: invoice.id,
        limit: 5,
        after: page.next,
      })
      expect([...page.data, ...rest.data].map(({ number }) => number).sort()).toEqual([
        'CN-000001',
        'CN-000002',
      ])
      expect(rest.data[0]).toEqual(await stores.creditNotes.get(TENANT, rest.data[0]?.id ?? ('' as never)))
      expect(
        await stores.receivables.command(
          TENANT,
          invoice.id,
          { kind: 'void', reason: null, rebill: false },
          AT,
        ),
      ).toMatchObject({ kind: 'illegal' })
      // What was given back by decision is no usage: the next invoice does not bill it again.
      expect((await close('2024-01-01')).lines).toHaveLength(1)
    })

    it('D16: nothing to pay is paid at once', async () => {
      const zero = await close('2023-12-01', {
        subscriptions: [aSubscription(flatPlan('0.00'), '2023-11-01')],
      })
      expect(zero).toMatchObject({ state: 'paid', total: '0.00', amountPaid: '0.00' })
      expect(zero.lines).toHaveLength(1)
      expect((await stores.receivables.history(TENANT, zero.id)).map(({ event }) => event)).toEqual([
        'invoice.finalized',
        'invoice.paid',
      ])
    })
  })
}

function flatPlan(amount: string) {
  return aPlan([aPrice('base', { price: { model: 'flat', amount } })])
}

let payments = 0
function payment(amount: string, idempotencyKey: string | null): NewPayment {
  return {
    id: `pay_${++payments}_${Math.floor(performance.now())}`,
    amount: decimal(amount),
    receivedAt: AT,
    method: 'bank transfer',
    reference: null,
    note: null,
    idempotencyKey,
  }
}

/** What a close would store, caught on its way. */
async function finalizationOf(store: InvoiceStore, customer: CustomerKey): Promise<Finalization> {
  const caught: Finalization[] = []
  const catching: InvoiceStore = {
    ...store,
    finalize: async (finalization) => {
      caught.push(finalization)
      return { kind: 'outdated' }
    },
  }
  await createInvoicing(
    fakeDeps({
      subscriptions: [aSubscription(flatPlan('10.00'), '2023-11-01')],
      store: catching,
      now: () => '2024-03-20T00:00:00Z',
    }),
  ).close({ tenant: TENANT, customer, periodEnd: instant('2023-12-01') })
  const [first] = caught
  if (first === undefined) throw new Error('the close stored nothing')
  return first
}
