import type { InvoiceId, TenantId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { CanonicalEvent } from '../usage/usage-query.ts'
import { parseBasis } from './basis-text.ts'
import type { InvoiceDocument, InvoiceLine } from './invoice.ts'
import { inclusionProof, leafHash, merkleRoot, type ProofStep } from './merkle.ts'
import type { InvoiceArchive, UsageEvidence } from './ports.ts'
import { eventsBehind, leavesBehind } from './usage-commitment.ts'
import type { UsageQuestion } from './usage-question.ts'

interface LineEventsPage {
  readonly events: readonly CanonicalEvent[]
  /** Where the next page begins; null at the end. */
  readonly next: string | null
}

type LineEventsOutcome =
  | ({ readonly kind: 'events' } & LineEventsPage)
  | { readonly kind: 'unknownInvoice' }
  | { readonly kind: 'unknownLine' }
  | { readonly kind: 'badCursor' }

type InclusionOutcome =
  | {
      readonly kind: 'included'
      readonly leaf: string
      readonly steps: readonly ProofStep[]
      /** As it stands on the invoice; null where none was made then. */
      readonly storedRoot: string | null
      readonly computedRoot: string
      readonly leaves: number
    }
  /** No event of that identity is behind the line. */
  | { readonly kind: 'notIncluded' }
  | { readonly kind: 'unknownInvoice' }
  | { readonly kind: 'unknownLine' }

export interface InvoiceEvidence {
  /** The canonical events behind a line, at its invoice's cut, in the order of their times. */
  events(request: {
    readonly tenant: TenantId
    readonly invoice: InvoiceId
    readonly line: string
    readonly limit: number
    readonly after: string | null
  }): Promise<LineEventsOutcome>
  /** How an event leads to the root on a line: proof for whoever holds a receipt. */
  inclusion(request: {
    readonly tenant: TenantId
    readonly invoice: InvoiceId
    readonly line: string
    readonly source: string
    readonly id: string
  }): Promise<InclusionOutcome>
}

interface LineBasis {
  readonly line: InvoiceLine
  readonly cut: Cut
  /** Null where no events stand behind the line. */
  readonly question: UsageQuestion | null
}

/** From a line of an invoice down to the events that it was counted from. */
export function createInvoiceEvidence(deps: {
  readonly archive: InvoiceArchive
  readonly evidence: UsageEvidence
}): InvoiceEvidence {
  const { archive, evidence } = deps

  async function lineBasis(
    tenant: TenantId,
    invoice: InvoiceId,
    lineId: string,
  ): Promise<LineBasis | 'unknownInvoice' | 'unknownLine'> {
    const record = await archive.record(tenant, invoice)
    if (record === null) return 'unknownInvoice'
    const { lines, cut } = JSON.parse(record.text) as InvoiceDocument
    const line = lines.find((one) => one.id === lineId)
    if (line === undefined) return 'unknownLine'
    return { line, cut, question: parseBasis(record.basis).questions.get(line.key) ?? null }
  }

  return {
    async events({ tenant, invoice, line, limit, after }) {
      const basis = await lineBasis(tenant, invoice, line)
      if (typeof basis === 'string') return { kind: basis }
      const { question, cut } = basis
      const place = placeOf(after)
      if (place === null) return { kind: 'badCursor' }
      if (question === null) return { kind: 'events', events: [], next: null }
      const events: CanonicalEvent[] = []
      let { slice, inner } = place
      for (;;) {
        const found = question.slices[slice]
        if (found === undefined) return { kind: 'events', events, next: null }
        const { meter } = question
        const page = await evidence.eventsAtCut({
          ...found,
          tenant,
          meter,
          groupBy: [],
          group: {},
          cut,
          limit: limit - events.length,
          after: inner,
        })
        events.push(...page.events)
        if (page.next === null) slice++
        inner = page.next
        if (events.length >= limit) {
          const isEnd = inner === null && slice >= question.slices.length
          return { kind: 'events', events, next: isEnd ? null : `${slice}:${inner ?? ''}` }
        }
      }
    },

    async inclusion({ tenant, invoice, line, source, id }) {
      const basis = await lineBasis(tenant, invoice, line)
      if (typeof basis === 'string') return { kind: basis }
      const { question, cut } = basis
      if (question === null) return { kind: 'notIncluded' }
      let leaf: Buffer | null = null
      for await (const event of eventsBehind(question, tenant, cut, evidence)) {
        if (event.source === source && event.id === id) leaf = leafHash(event)
      }
      if (leaf === null) return { kind: 'notIncluded' }
      const leaves = await leavesBehind(question, tenant, cut, evidence)
      const steps = inclusionProof(leaves, leaf)
      if (steps === null) throw new Error(`the event ${source} ${id} was behind the line and is not any more`)
      return {
        kind: 'included',
        leaf: leaf.toString('hex'),
        steps,
        storedRoot: basis.line.usage?.root ?? null,
        computedRoot: merkleRoot(leaves),
        leaves: leaves.length,
      }
    },
  }
}

/** `slice:place within it`. */
function placeOf(cursor: string | null): { slice: number; inner: string | null } | null {
  if (cursor === null) return { slice: 0, inner: null }
  const [, slice, inner] = /^(\d{1,6}):([\d.-]{0,80})$/.exec(cursor) ?? []
  if (slice === undefined || inner === undefined) return null
  return { slice: Number(slice), inner: inner === '' ? null : inner }
}
