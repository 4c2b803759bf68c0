import { types } from 'pg'

/** Object ids of pg_type: fixed for ever by PostgreSQL. */
const INT8 = 20
const DATE = 1082

/** int8 as a JavaScript number: counters and versions stay far below 2^53, and a value beyond it is a fault, not a rounding. */
function parseInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`int8 beyond 2^53 read as a number: ${text}`)
  return value
}

const parserOf = types.getTypeParser as (oid: number, format?: 'text' | 'binary') => (text: string) => unknown

/** How columns arrive: numeric and date as text (exact, without a zone), timestamptz as Date, jsonb parsed. */
export const columnTypes = {
  getTypeParser(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
    if (oid === INT8) return parseInt8
    if (oid === DATE) return (text) => text
    return parserOf(oid, format)
  },
}
