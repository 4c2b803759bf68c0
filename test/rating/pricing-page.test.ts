import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PRICE_MODELS } from '../../src/catalog/price.ts'
import type { RatingErrorCode } from '../../src/rating/rating-outcome.ts'
import { answerOf } from './table.ts'

const page = readFileSync('docs/pricing.md', 'utf8')
const examples = [...page.matchAll(/```json\n([\s\S]*?)```\n\n> (.+) · (.+)\n/g)].map(
  ([, request = '', amount = '', explanation = '']) => ({ request, amount, explanation }),
)

/** The compiler wants every code here. */
const CODES: Readonly<Record<RatingErrorCode, true>> = {
  invalidRequest: true,
  unknownModel: true,
  malformedDecimal: true,
  negativeDecimal: true,
  tooManyDigits: true,
  tiersOutOfOrder: true,
  missingLastTier: true,
  malformedJson: true,
  unknownCurrency: true,
  unmatchedGroup: true,
}

describe('docs/pricing.md', () => {
  it('has an answer to each of its requests, and a request for each model', () => {
    expect(examples).toHaveLength(page.split('```json').length - 1)
    for (const model of PRICE_MODELS) {
      expect(page).toContain(`### ${model}\n`)
      expect(examples.some(({ request }) => request.includes(`"model": "${model}"`))).toBe(true)
    }
  })

  it.each(examples)('is right about $amount: $explanation', ({ request, amount, explanation }) => {
    const answer = answerOf(JSON.parse(request) as object)
    expect([answer.amount, answer.explanation]).toEqual([amount, explanation])
  })

  it('names every code of refusal', () => {
    for (const code of Object.keys(CODES)) {
      expect(page).toContain(`| \`${code}\` |`)
    }
  })
})
