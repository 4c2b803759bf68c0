import { type Decimal, decimal, toFixedText } from '../money/decimal.ts'
import type { DraftBasis } from './draft.ts'

/** Raised when the shape of what is stored changes; older bases stay readable. */
const BASIS_VERSION = 1

interface StoredBasis extends Omit<DraftBasis, 'questions'> {
  readonly version: number
  readonly questions: readonly (readonly [string, unknown])[]
}

/** The basis as JSON; decimals keep their digits. */
export function basisText(basis: DraftBasis): string {
  const stored = { version: BASIS_VERSION, ...basis, questions: [...basis.questions] }
  return JSON.stringify(stored, (_, value: unknown) =>
    isDecimal(value) ? { $decimal: toFixedText(value) } : value,
  )
}

/** Reads what `basisText` wrote. @throws Error when it is of a version that this release does not know */
export function parseBasis(text: string): DraftBasis {
  const stored = JSON.parse(text, (_, value: unknown) =>
    typeof value === 'object' && value !== null && '$decimal' in value && typeof value.$decimal === 'string'
      ? decimal(value.$decimal)
      : value,
  ) as StoredBasis
  if (stored.version !== BASIS_VERSION)
    throw new Error(`unknown version of an invoice's basis: ${stored.version}`)
  const { closesAt, charges, dropped } = stored
  return { closesAt, charges, dropped, questions: new Map(stored.questions) as DraftBasis['questions'] }
}

function isDecimal(value: unknown): value is Decimal {
  return typeof value === 'object' && value !== null && 'coefficient' in value && 'scale' in value
}
