/** Where an invoice stands. `past due` and `partially paid` are derived from dates and payments, not states. */
export const INVOICE_STATES = [
  'gathering',
  'draft',
  'taxPending',
  'invalid',
  'finalized',
  'paid',
  'void',
  'uncollectible',
  'deleted',
] as const
export type InvoiceState = (typeof INVOICE_STATES)[number]

export const INVOICE_EVENTS = [
  'gather',
  'recompute',
  'delete',
  'finalize',
  'awaitTax',
  'refuse',
  'applyPayment',
  'returnPayment',
  'settle',
  'void',
  'writeOff',
  'reopen',
  'credit',
] as const
export type InvoiceEvent = (typeof INVOICE_EVENTS)[number]

const NEXT = {
  gathering: row({ gather: 'draft' }),
  draft: row({
    recompute: 'draft',
    delete: 'deleted',
    finalize: 'finalized',
    awaitTax: 'taxPending',
    refuse: 'invalid',
  }),
  taxPending: row({ finalize: 'finalized' }),
  invalid: row({ finalize: 'finalized' }),
  finalized: row({
    applyPayment: 'finalized',
    // A part that was paid may come back like a whole payment.
    returnPayment: 'finalized',
    settle: 'paid',
    void: 'void',
    writeOff: 'uncollectible',
    credit: 'finalized',
  }),
  paid: row({ reopen: 'finalized', credit: 'paid' }),
  void: row({}),
  uncollectible: row({ settle: 'paid', void: 'void' }),
  deleted: row({}),
} as const satisfies Record<InvoiceState, Record<InvoiceEvent, InvoiceState | null>>

/** The state that the event leads to; null where the event is not allowed, so that nothing happens and nothing is told. */
export function nextState(state: InvoiceState, event: InvoiceEvent): InvoiceState | null {
  return NEXT[state][event]
}

/** What is told of an event. */
export const INVOICE_NOTICES = {
  gather: 'invoice.created',
  recompute: 'invoice.updated',
  delete: 'invoice.deleted',
  finalize: 'invoice.finalized',
  awaitTax: 'invoice.finalization_failed',
  refuse: 'invoice.finalization_failed',
  applyPayment: 'invoice.payment_applied',
  returnPayment: 'invoice.payment_returned',
  settle: 'invoice.paid',
  void: 'invoice.voided',
  writeOff: 'invoice.marked_uncollectible',
  reopen: 'invoice.reopened',
  credit: 'credit_note.created',
} as const satisfies Record<InvoiceEvent, string>

/** States in which a number has been given: bytes, number and hash never change again. */
export function isIssued(state: InvoiceState): boolean {
  switch (state) {
    case 'finalized':
    case 'paid':
    case 'void':
    case 'uncollectible':
      return true
    case 'gathering':
    case 'draft':
    case 'taxPending':
    case 'invalid':
    case 'deleted':
      return false
  }
}

function row(
  allowed: Partial<Record<InvoiceEvent, InvoiceState>>,
): Record<InvoiceEvent, InvoiceState | null> {
  const refused = Object.fromEntries(INVOICE_EVENTS.map((event) => [event, null])) as Record<
    InvoiceEvent,
    null
  >
  return { ...refused, ...allowed }
}
