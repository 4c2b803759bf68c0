import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PRORATION_CONVENTIONS, type ProrationConvention } from '../../src/catalog/price.ts'
import type { CustomerKey, PlanKey } from '../../src/id/ids.ts'
import type { BillablePhase, BillablePlan, BillableSubscription } from '../../src/invoice/billable.ts'
import { type Charge, chargesThrough } from '../../src/invoice/charge.ts'
import { createCrediting } from '../../src/invoice/crediting.ts'
import type { Invoice } from '../../src/invoice/invoice.ts'
import { createInvoicing } from '../../src/invoice/invoicing.ts'
import type { PlanBounds } from '../../src/invoice/plan-total.ts'
import { rateCharge } from '../../src/invoice/rated-charge.ts'
import { feeShare } from '../../src/invoice/service-share.ts'
import { answerAtCut, usageQuestion } from '../../src/invoice/usage-question.ts'
import { createInvoiceVerifier } from '../../src/invoice/verify.ts'
import type { Currency } from '../../src/money/currency.ts'
import {
  add,
  compare,
  decimal,
  type Decimal,
  isNegative,
  subtract,
  toFixedText,
  ZERO,
} from '../../src/money/decimal.ts'
import { formatInstant, instantOf, type Instant } from '../../src/time/instant.ts'
import {
  type BilledCustomer,
  type BillingWorld,
  customerOf,
  openBillingWorld,
} from '../support/billing-world.ts'
import { settledBy } from '../support/memory-invoice-store.ts'
import { aPlan, aPrice, aSubscription, instant, TENANT } from '../support/invoicing.ts'

const KEY = 'c0' as CustomerKey
const DAY_MS = 86_400_000
const START = instant('2023-01-01')
const MONTHS = 24
const ACCEPT_BACK_MS = 35 * DAY_MS

const volume = {
  price: {
    model: 'volume',
    tiers: [
      { upTo: '50', unitAmount: '1.00' },
      { upTo: null, unitAmount: '0.40' },
    ],
  },
}
const graduated = {
  price: {
    model: 'graduated',
    tiers: [
      { upTo: '20', unitAmount: '0' },
      { upTo: null, unitAmount: '0.333' },
    ],
  },
}

const halfPrice = { ...graduated, discounts: [{ percent: '50', periods: 2 }] }

function plans(
  corrections: 'nextInvoice' | 'creditNote',
  proration: ProrationConvention,
): readonly BillablePlan[] {
  const metered = aPrice('calls', volume, { meter: 'calls' })
  const bytes = aPrice('bytes', graduated, { meter: 'bytes' })
  const fee = (amount: string, payment: 'inAdvance' | 'inArrears') =>
    aPrice('base', { price: { model: 'flat', amount }, proration }, { payment })
  return [
    aPlan([fee('29.95', 'inArrears'), metered], { key: 'small' as PlanKey, corrections }),
    aPlan([fee('99.99', 'inArrears'), metered, bytes], { key: 'large' as PlanKey, corrections }),
    aPlan([fee('49.00', 'inAdvance'), bytes], { key: 'ahead' as PlanKey, corrections }),
    aPlan([fee('15.00', 'inAdvance'), metered, aPrice('bytes', halfPrice, { meter: 'bytes' })], {
      key: 'bound' as PlanKey,
      corrections,
      minimum: decimal('40'),
      maximum: decimal('70'),
    }),
  ]
}

type Step =
  | { readonly kind: 'wait'; readonly days: number }
  | {
      readonly kind: 'use'
      readonly meter: 'calls' | 'bytes'
      readonly quantity: number
      readonly daysAgo: number
    }
  | { readonly kind: 'voidEvent'; readonly pick: number }
  | { readonly kind: 'change'; readonly plan: number }
  | { readonly kind: 'changeAndUndo'; readonly plan: number }
  | { readonly kind: 'pay'; readonly pick: number; readonly percent: number }
  | { readonly kind: 'returnPayment'; readonly pick: number }
  | { readonly kind: 'voidInvoice'; readonly pick: number; readonly rebill: boolean }
  | { readonly kind: 'writeOff'; readonly pick: number }
  | { readonly kind: 'credit'; readonly pick: number; readonly percent: number }
  | { readonly kind: 'cancel' }

const pick = fc.nat({ max: 1000 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), days: fc.integer({ min: 1, max: 45 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('use' as const),
      meter: fc.constantFrom('calls' as const, 'bytes' as const),
      quantity: fc.integer({ min: 0, max: 80 }),
      daysAgo: fc.integer({ min: 0, max: 34 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('voidEvent' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('change' as const), plan: fc.nat({ max: 3 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('changeAndUndo' as const), plan: fc.nat({ max: 3 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pay' as const),
      pick,
      percent: fc.integer({ min: 1, max: 150 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('returnPayment' as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('voidInvoice' as const), pick, rebill: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('writeOff' as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('credit' as const),
      pick,
      percent: fc.integer({ min: 1, max: 60 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const) }) },
)

/** One customer with one subscription whose life is told by steps. */
class History {
  readonly world: BillingWorld
  readonly billed: BilledCustomer
  readonly choices: readonly BillablePlan[]
  readonly texts = new Map<string, string>()
  payments = 0
  /** Events that were canonical, by offset, and when each was used. */
  readonly used: { readonly offset: number; readonly at: Instant }[] = []

  constructor(
    corrections: 'nextInvoice' | 'creditNote',
    anchorDay: number,
    timezone: string,
    proration: ProrationConvention = 'actualDays',
  ) {
    this.choices = plans(corrections, proration)
    const [first] = this.choices
    if (first === undefined) throw new Error('no plan')
    this.billed = {
      customer: customerOf(KEY, { timezone, taxRates: [{ name: 'VAT', rate: decimal('0.19') }] }),
      subscriptions: [aSubscription(first, formatInstant(START), { anchorDay, timezone })],
    }
    this.world = openBillingWorld([this.billed])
    this.world.now = START
  }

  get subscription(): BillableSubscription {
    const [subscription] = this.billed.subscriptions
    if (subscription === undefined) throw new Error('no subscription')
    return subscription
  }

  set phases(phases: readonly BillablePhase[]) {
    this.billed.subscriptions = [{ ...this.subscription, phases }]
  }

  async invoices(): Promise<readonly Invoice[]> {
    return (await this.world.store.list(TENANT, { customer: null, state: null, limit: 1000, after: null }))
      .data
  }

  async take(one: Step): Promise<void> {
    const { world } = this
    const receivables = world.store.receivables
    const all = await this.invoices()
    const chosen = 'pick' in one && all.length > 0 ? all[one.pick % all.length] : undefined
    const { phases } = this.subscription
    const last = phases.at(-1)
    if (last === undefined) throw new Error('no phase')
    switch (one.kind) {
      case 'wait':
        world.now = instantOf(world.now + one.days * DAY_MS)
        break
      case 'use': {
        const at = instantOf(Math.max(START, world.now - one.daysAgo * DAY_MS))
        this.used.push({ offset: world.events.length, at })
        world.events.push({
          meter: one.meter,
          at: formatInstant(at),
          quantity: String(one.quantity),
          subject: KEY,
        })
        break
      }
      case 'voidEvent': {
        // Events can be taken back as long as they could be sent.
        const open = this.used.filter(({ at }) => at > world.now - ACCEPT_BACK_MS)
        const event = open[one.pick % Math.max(open.length, 1)]
        if (event === undefined) break
        world.events.push({ meter: 'void', at: formatInstant(world.now), quantity: '0', voids: event.offset })
        break
      }
      case 'change':
      case 'changeAndUndo': {
        const plan = this.choices[one.plan]
        if (plan === undefined || last.end !== null || last.start >= world.now) break
        const changed = [
          ...phases.slice(0, -1),
          { ...last, end: world.now },
          { start: world.now, end: null, plan },
        ]
        if (one.kind === 'change') this.phases = changed
        else {
          this.phases = changed
          this.phases = phases
        }
        break
      }
      case 'cancel':
        if (last.end === null && last.start < world.now)
          this.phases = [...phases.slice(0, -1), { ...last, end: world.now }]
        break
      case 'pay': {
        if (chosen === undefined) break
        const total = decimal(chosen.total).coefficient
        const amount = { coefficient: (total * BigInt(one.percent)) / 100n, scale: 2 }
        if (amount.coefficient <= 0n) break
        const payment = {
          id: `pay_${++this.payments}`,
          amount,
          receivedAt: world.now,
          method: null,
          reference: null,
          note: null,
          idempotencyKey: null,
        }
        await receivables.command(TENANT, chosen.id, { kind: 'pay', payment }, world.now)
        break
      }
      case 'returnPayment': {
        if (chosen === undefined) break
        const [payment] = (await receivables.payments(TENANT, chosen.id)).filter(
          (held) => held.kind === 'manual',
        )
        if (payment === undefined) break
        await receivables.command(
          TENANT,
          chosen.id,
          { kind: 'returnPayment', payment: payment.id, reason: null },
          world.now,
        )
        break
      }
      case 'voidInvoice':
        if (chosen === undefined) break
        await receivables.command(
          TENANT,
          chosen.id,
          { kind: 'void', reason: null, rebill: one.rebill },
          world.now,
        )
        break
      case 'writeOff':
        if (chosen === undefined) break
        await receivables.command(TENANT, chosen.id, { kind: 'writeOff', reason: null }, world.now)
        break
      case 'credit': {
        const line = chosen?.lines.find(({ amount }) => compare(decimal(amount), decimal('0.10')) > 0)
        if (chosen === undefined || line === undefined) break
        const amount = {
          coefficient: (decimal(line.amount).coefficient * BigInt(one.percent)) / 100n,
          scale: 2,
        }
        await createCrediting({ store: world.store, receivables }).credit({
          tenant: TENANT,
          invoice: chosen.id,
          lines: [{ line: line.id, amount }],
          reason: 'goodwill',
          at: world.now,
        })
      }
    }
  }

  /** What has to hold after every step. */
  async check(): Promise<void> {
    const { world } = this
    const all = await this.invoices()
    const numbers = all.map(({ number }) => number ?? '').sort()
    expect(numbers, 'INV-22: numbers without a gap').toEqual(
      numbers.map((_, i) => `INV-${String(i + 1).padStart(6, '0')}`),
    )
    const live = all.filter(({ state }) => state !== 'void')
    expect(new Set(live.map(({ periodEnd }) => periodEnd)).size, 'INV-21: one invoice a period').toBe(
      live.length,
    )
    const ledger = await world.store.ledger(TENANT, KEY)
    for (const invoice of all) {
      const text = world.store.texts.get(invoice.id) ?? ''
      const before = this.texts.get(invoice.id) ?? text
      expect(text, 'INV-22 and INV-39: bytes of a finalized invoice never change').toBe(before)
      this.texts.set(invoice.id, text)
      const sum = invoice.lines.reduce((total, { amount }) => add(total, decimal(amount)), ZERO)
      expect(toFixedText(add(sum, decimal(invoice.tax))), 'INV-15').toBe(invoice.total)
      const settled = settledBy(await world.store.receivables.payments(TENANT, invoice.id))
      if (invoice.state !== 'void') expect(compare(settled, decimal(invoice.amountPaid)), 'INV-16').toBe(0)
      const due = subtract(
        subtract(decimal(invoice.total), decimal(invoice.amountPaid)),
        decimal(invoice.amountCredited),
      )
      if (invoice.state === 'finalized') expect(isNegative(due), 'INV-16: never below zero').toBe(false)
      const notes = ledger.creditNotes.filter(({ correctsInvoice }) => correctsInvoice === invoice.id)
      const noted = notes.reduce((total, note) => add(total, decimal(note.total)), ZERO)
      if (notes.length > 0) expect(compare(noted, decimal(invoice.total)), 'INV-17').not.toBe(1)
      for (const line of invoice.lines) {
        if (line.kind !== 'lateUsage') continue
        expect(line.corrects.length, 'INV-39: late usage names what it corrects').toBeGreaterThan(0)
        expect(line.start < line.end).toBe(true)
      }
    }
  }

  /** All invoices and credit notes of usage add up to rating the canonical events once, for every charge that is billed. */
  async checkTelescope(): Promise<void> {
    const { world } = this
    const ledger = await world.store.ledger(TENANT, KEY)
    const billed = new Map<string, Decimal>()
    const count = (key: string, amount: Decimal): unknown =>
      billed.set(key, add(billed.get(key) ?? ZERO, amount))
    for (const { line } of ledger.lines) count(line.key, decimal(line.amount))
    for (const line of ledger.creditNotes.flatMap((note) => note.lines)) {
      if (line.kind !== 'credit')
        count(line.key, { ...decimal(line.amount), coefficient: -decimal(line.amount).coefficient })
    }
    const owed = new Map<string, Decimal>()
    for (const charge of chargesThrough(this.subscription, world.now))
      owed.set(charge.key, await this.rate(charge))
    // INV-18: nothing is left out, unless somebody voided an invoice and left its period open.
    const isLeftOpen = ledger.invoices.some(({ state, rebill }) => state === 'void' && !rebill)
    if (!isLeftOpen) expect([...owed.keys()].filter((key) => !billed.has(key))).toEqual([])
    for (const [key, amount] of billed) {
      if (isLeftOpen && ledger.voided.has(key)) continue
      expect(toFixedText(amount), `what was billed of ${key}`).toBe(
        toFixedText(owed.get(key) ?? { coefficient: 0n, scale: 2 }),
      )
    }
  }

  /** What the bounds of a plan come to, from everything that was used. */
  async rateBounds(charge: Charge, { minimum, maximum, charges }: PlanBounds): Promise<Decimal> {
    const all = chargesThrough(this.subscription, this.world.now)
    let sum = ZERO
    for (const key of charges) {
      const one = all.find((other) => other.key === key)
      if (one === undefined) throw new Error(`${key} is no charge`)
      sum = add(sum, await this.rate(one))
    }
    const least = minimum === null ? sum : feeShare(minimum, charge.share, 'USD' as Currency).amount
    const most = maximum === null ? sum : feeShare(maximum, charge.share, 'USD' as Currency).amount
    const bound = compare(sum, least) < 0 ? least : compare(sum, most) > 0 ? most : sum
    return subtract(bound, sum)
  }

  async rate(charge: Charge): Promise<Decimal> {
    const { world } = this
    if (charge.bounds !== undefined) return this.rateBounds(charge, charge.bounds)
    if (charge.price.meter === null) {
      const fee = rateCharge(charge, null, 'USD' as Currency)
      if (fee.kind === 'refused') throw new Error(fee.error.detail)
      return fee.rated.amount
    }
    const meter = await world.deps.directory.meter(TENANT, charge.price.meter, null)
    if (meter === null) throw new Error('no meter')
    const question = usageQuestion(charge, meter, this.billed.customer.subjects, charge.service.end)
    const answer = await answerAtCut(question, TENANT, await world.deps.usage.endOffsets(), world.deps.usage)
    const rated = rateCharge(charge, { ...answer, root: null }, 'USD' as Currency)
    if (rated.kind === 'refused') throw new Error(rated.error.detail)
    return rated.rated.amount
  }
}

describe('random histories of a subscription over two years', () => {
  it('I1 and I10: keep every promise after every step, and telescope at the end', async () => {
    const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/Los_Angeles')
    const steps = fc.array(step, { minLength: 5, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('nextInvoice' as const, 'creditNote' as const),
        fc.integer({ min: 1, max: 31 }),
        zone,
        fc.constantFrom(...PRORATION_CONVENTIONS),
        steps,
        async (corrections, anchorDay, timezone, proration, life) => {
          const history = new History(corrections, anchorDay, timezone, proration)
          const { world } = history
          for (const one of life) {
            if (world.now - START > MONTHS * 30 * DAY_MS) break
            await history.take(one)
            const report = await world.run().runDue(world.now)
            expect(report.held, 'nothing is held').toBe(0)
            expect(world.faults).toEqual([])
            expect(await world.run().runDue(world.now), 'INV-21').toMatchObject({ finalized: 0, credited: 0 })
            await history.check()
          }
          // All that can still come has come; everything that is due is billed once more.
          world.now = instantOf(world.now + DAY_MS)
          if (history.subscription.phases.at(-1)?.end === null) await history.take({ kind: 'cancel' })
          world.now = instantOf(world.now + 40 * DAY_MS)
          await world.run().runDue(world.now)
          await history.check()
          await history.checkTelescope()
          const verifier = createInvoiceVerifier({
            archive: world.store,
            usage: world.deps.usage,
            commitment: null,
            journalWaitMs: 1,
          })
          for (const { id } of await history.invoices()) {
            expect(await verifier.verify(TENANT, id), 'I5').toMatchObject({ ok: true, differences: [] })
          }
        },
      ),
      { numRuns: 60, endOnFailure: false },
    )
  }, 60_000)

  it('INV-23: a preview is the invoice that is made then', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 15 }),
        fc.integer({ min: 1, max: 28 }),
        async (life, anchorDay) => {
          const history = new History('nextInvoice', anchorDay, 'UTC')
          const { world } = history
          for (const one of life) {
            await history.take(one)
            await world.run().runDue(world.now)
          }
          const invoicing = createInvoicing(world.deps)
          const shown = await invoicing.preview({ tenant: TENANT, customer: KEY, at: world.now })
          if (shown.kind !== 'invoice' || shown.invoice.state !== 'draft') return
          const periodEnd = instant(shown.invoice.periodEnd)
          const preview = await invoicing.preview({ tenant: TENANT, customer: KEY, at: periodEnd })
          if (preview.kind !== 'invoice') throw new Error(preview.kind)
          world.now = periodEnd
          const closed = await invoicing.close({ tenant: TENANT, customer: KEY, periodEnd })
          if (closed.kind !== 'finalized') throw new Error(closed.kind)
          const { id, lines, subtotal, taxes, total, cut } = closed.invoice
          expect({ id, lines, subtotal, taxes, total, cut }).toEqual({
            id: preview.invoice.id,
            lines: preview.invoice.lines,
            subtotal: preview.invoice.subtotal,
            taxes: preview.invoice.taxes,
            total: preview.invoice.total,
            cut: preview.invoice.cut,
          })
        },
      ),
      { numRuns: 40 },
    )
  }, 60_000)
})
