import { type Decimal, decimal, toFixedText } from '../money/decimal.ts'
import type { DraftBasis } from './compose.ts'

/** Raised when the shape of what is stored changes; older bases stay readable. */
const BASIS_VERSION = 1

/** The basis as JSON; decimals keep their digits, maps their order. */
export function basisText(basis: DraftBasis): string {
  return JSON.stringify({ version: BASIS_VERSION, ...basis }, (_, value: unknown) => {
    if (isDecimal(value)) return { $decimal: toFixedText(value) }
    return value instanceof Map ? { $map: [...(value as ReadonlyMap<unknown, unknown>)] } : value
  })
}

/** Reads what `basisText` wrote. @throws Error when it is of a version that this release does not know */
export function parseBasis(text: string): DraftBasis {
  const { version, ...basis } = JSON.parse(text, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value
    if ('$decimal' in value && typeof value.$decimal === 'string') return decimal(value.$decimal)
    if ('$map' in value && Array.isArray(value.$map)) return new Map(value.$map as [unknown, unknown][])
    return value
  }) as DraftBasis & { readonly version: number }
  if (version !== BASIS_VERSION) throw new Error(`unknown version of an invoice's basis: ${version}`)
  return basis
}

function isDecimal(value: unknown): value is Decimal {
  return typeof value === 'object' && value !== null && 'coefficient' in value && 'scale' in value
}
