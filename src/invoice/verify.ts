import type { InvoiceId, TenantId } from '../id/ids.ts'
import { basisText, parseBasis } from './basis-text.ts'
import { sha256Hex } from './canonical-json.ts'
import { compose } from './compose.ts'
import { documentText, sealDocument } from './document.ts'
import { meter, type UsageCommitment } from './draft.ts'
import type { InvoiceDocument } from './invoice.ts'
import type { InvoiceArchive, UsageSource } from './ports.ts'

/** Where what was computed again differs from what is stored. */
interface Difference {
  /** JSON pointer into the invoice. */
  readonly pointer: string
  readonly stored: string | null
  readonly computed: string | null
}

type Verification =
  | {
      readonly kind: 'verified'
      readonly ok: boolean
      readonly storedHash: string
      readonly computedHash: string
      readonly differences: readonly Difference[]
    }
  | { readonly kind: 'unknownInvoice' }
  /** The stored events cannot be asked at the cut now. */
  | { readonly kind: 'journalBehind'; readonly waitedMs: number }

export interface InvoiceVerifier {
  /** Counts, rates and adds an invoice up again from the events before its cut, and compares every byte. */
  verify(tenant: TenantId, id: InvoiceId): Promise<Verification>
}

const differencesMax = 100

export function createInvoiceVerifier(deps: {
  readonly archive: InvoiceArchive
  readonly usage: UsageSource
  readonly commitment: UsageCommitment | null
  readonly journalWaitMs: number
}): InvoiceVerifier {
  const { archive, usage, commitment, journalWaitMs } = deps
  return {
    async verify(tenant, id) {
      const record = await archive.record(tenant, id)
      if (record === null) return { kind: 'unknownInvoice' }
      const stored = JSON.parse(record.text) as InvoiceDocument
      if (!(await usage.waitForJournal(stored.cut, journalWaitMs))) {
        return { kind: 'journalBehind', waitedMs: journalWaitMs }
      }
      const basis = parseBasis(record.basis)
      if (basisText(basis) !== record.basis) throw new Error(`the basis of ${id} does not read back as it is`)
      const composed = compose(basis, await meter(basis, tenant, stored.cut, usage, commitment))
      if (composed.kind === 'unratable') {
        throw new Error(`${id} was rated and cannot be rated again: ${composed.error.detail}`)
      }
      const { number, issuedAt, dueAt } = stored
      if (number === null || issuedAt === null || dueAt === null) throw new Error(`${id} was never finalized`)
      const computed = sealDocument(composed.document, {
        number,
        issuedAt,
        dueAt,
        previousHash: record.hashBefore,
      })
      const differences = differencesOf(stored, computed.document)
      // The stored bytes against the stored hash: somebody may have changed both the document and nothing else.
      if (sha256Hex(record.text) !== record.hash) {
        differences.push({ pointer: '/hash', stored: record.hash, computed: sha256Hex(record.text) })
      }
      const ok = differences.length === 0 && computed.text === record.text && computed.hash === record.hash
      return { kind: 'verified', ok, storedHash: record.hash, computedHash: computed.hash, differences }
    },
  }
}

function differencesOf(stored: InvoiceDocument, computed: InvoiceDocument): Difference[] {
  if (documentText(stored) === documentText(computed)) return []
  const before = leavesOf(stored)
  const after = leavesOf(computed)
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((pointer) => before.get(pointer) !== after.get(pointer))
    .slice(0, differencesMax)
    .map((pointer) => ({
      pointer,
      stored: before.get(pointer) ?? null,
      computed: after.get(pointer) ?? null,
    }))
}

/** Every scalar of a document by its JSON pointer. */
function leavesOf(
  value: unknown,
  pointer: string = '',
  into = new Map<string, string>(),
): Map<string, string> {
  if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) leavesOf(member, `${pointer}/${name}`, into)
  } else {
    into.set(pointer, typeof value === 'string' ? value : JSON.stringify(value))
  }
  return into
}
