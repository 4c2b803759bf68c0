import { StoreError } from '../aggregate/ports.ts'

/** Codes of ClickHouse where the same statement can succeed later: memory, disk, timeouts, too many parts or queries. */
const RETRYABLE_CODES = new Set([
  '159',
  '160',
  '202',
  '209',
  '210',
  '236',
  '241',
  '242',
  '243',
  '252',
  '279',
  '425',
  '999',
])

/** What the client or the engine threw, as the store's own error. */
export function failureOf(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  if (isClickHouseError(error)) {
    return new StoreError('statementFailed', `ClickHouse refused (${error.code}): ${error.message}`, {
      retryable: RETRYABLE_CODES.has(error.code),
      cause: error,
    })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new StoreError('unavailable', message, { retryable: true, cause: error })
}

/** By its shape: the client and the embedded engine's connection throw two classes of one name. */
function isClickHouseError(error: unknown): error is Error & { readonly code: string } {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && /^\d+$/.test(error.code)
  )
}
