/** One measured figure. `floor` was measured in the same run with the same input; `ratio` is value / floor. */
export interface Figure {
  readonly metric: string
  readonly value: number
  readonly unit: string
  readonly floor?: number
  readonly ratio?: number
}
