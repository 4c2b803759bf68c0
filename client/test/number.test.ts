import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exactNumberText } from '../../src/ingest/number-text.ts'
import { isSafeNumber } from '../src/number.ts'

describe('isSafeNumber', () => {
  it.each([0, -0, 1, -12.5, 0.1, 123456789012345, 0.123456789012345, 9007199254740990, 1e-38])(
    '%d travels as a JSON number',
    (value) => {
      expect(isSafeNumber(value)).toBe(true)
    },
  )

  it.each([0.1 + 0.2, 2 ** 53, 9007199254740991, -(2 ** 53), 1e21, 1e-39, 5e-324, NaN, Infinity, -Infinity])(
    '%d does not',
    (value) => {
      expect(isSafeNumber(value)).toBe(false)
    },
  )

  it('is what the server reads as exact, for every double', () => {
    const values = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      fc.maxSafeInteger(),
      fc
        .tuple(fc.integer({ min: -(10 ** 9), max: 10 ** 9 }), fc.integer({ min: -45, max: 45 }))
        .map(([digits, exponent]) => Number(`${digits}e${exponent}`)),
    )
    fc.assert(
      fc.property(values, (value) => {
        expect(isSafeNumber(value)).toBe(exactNumberText(JSON.stringify(value)) !== null)
      }),
      { numRuns: 5000 },
    )
  })
})
