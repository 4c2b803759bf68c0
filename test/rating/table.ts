import { expect } from 'vitest'
import { rateJson, type RatingAnswer } from '../../src/rating/rating-json.ts'

/** One case of a price: the quantity, what it comes to exactly, and its lines as `kind quantity × unitAmount`. */
export type Row = readonly [quantity: string, exactAmount: string, ...lines: string[]]

export type Answer = Extract<RatingAnswer, { readonly amount: string }>
type Refusal = Extract<RatingAnswer, { readonly error: unknown }>

/** A request through the public door, which must be rated. */
export function answerOf(request: object): Answer {
  const answer = rateJson({ currency: 'USD', ...request })
  if ('error' in answer) throw new Error(`${answer.error.pointer}: ${answer.error.detail}`)
  return answer
}

/** A request that must be refused: its code and where. */
export function refusalOf(request: object): Pick<Refusal['error'], 'code' | 'pointer'> {
  const answer = rateJson({ currency: 'USD', quantity: '1', ...request })
  if (!('error' in answer)) throw new Error(`rated: ${answer.explanation}`)
  expect(answer.error.detail).not.toBe('')
  return { code: answer.error.code, pointer: answer.error.pointer }
}

export function lineTexts({ lines }: Answer): string[] {
  return lines.map(({ kind, quantity, unitAmount }) => `${kind} ${quantity} × ${unitAmount}`)
}

export function expectRows(price: object, rows: readonly Row[], around: object = {}): void {
  for (const [quantity, exactAmount, ...lines] of rows) {
    const answer = answerOf({ quantity, price, ...around })
    expect([quantity, answer.exactAmount, ...lineTexts(answer)]).toEqual([quantity, exactAmount, ...lines])
  }
}
