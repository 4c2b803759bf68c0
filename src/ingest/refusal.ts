import type { IngestAnswer, RefusalCode } from './answer.ts'

/** A whole request that cannot be taken. */
export type Refusal = Extract<IngestAnswer, { readonly kind: 'refused' }>

export function refused(code: RefusalCode, detail: string): Refusal {
  return { kind: 'refused', code, detail }
}

export function bodyTooLarge(bytesMax: number): Refusal {
  return refused(
    'bodyTooLarge',
    `A request's body may have at most ${bytesMax} bytes, unpacked. Send smaller batches.`,
  )
}
