import type { TenantId } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import { formatInstant } from '../time/instant.ts'
import type { IngestAnswer } from './answer.ts'
import type { DeadLetterStore, KeptDeadLetter, RejectionReason, RetriedOutcome } from './dead-letter.ts'
import { isExactObject, readExactJson, writeExactJson } from './exact-json.ts'
import type { Ingest } from './ingest.ts'

export type RetryOutcome =
  | { readonly kind: 'taken'; readonly outcome: RetriedOutcome }
  /** The cause is still there, or another one is. */
  | { readonly kind: 'rejected'; readonly reason: RejectionReason }
  | { readonly kind: 'unknown' | 'alreadyRetried' | 'running' | 'cut' }
  | { readonly kind: 'unavailable'; readonly answer: Extract<IngestAnswer, { readonly kind: 'unavailable' }> }

export interface DeadLetterRetryDeps {
  readonly store: Pick<DeadLetterStore, 'claim' | 'settle' | 'release'>
  readonly ingest: Pick<Ingest, 'accept'>
  readonly clock: Clock
}

/** Longer than the log may take to answer; a process that died with a letter keeps nobody from it for longer. */
const LEASE_MS = 60_000

/**
 * Sends a dead letter through the stage again, once: whoever asks at the same time or later is told so. Where the process
 * dies between the log and the store, the next try finds the event on the log by its identity.
 */
export function createDeadLetterRetry({ store, ingest, clock }: DeadLetterRetryDeps) {
  return async (tenant: TenantId, id: string): Promise<RetryOutcome> => {
    const claim = await store.claim(tenant, id, clock.now(), LEASE_MS)
    if (claim.kind === 'retried') return { kind: 'alreadyRetried' }
    if (claim.kind !== 'claimed') return { kind: claim.kind }
    const { letter } = claim
    if (letter.isCut) {
      await store.release(tenant, id, null)
      return { kind: 'cut' }
    }
    let answer: IngestAnswer
    try {
      answer = await send(tenant, letter)
    } catch (error) {
      await store.release(tenant, id, null)
      throw error
    }
    switch (answer.kind) {
      case 'unavailable':
        await store.release(tenant, id, null)
        return { kind: 'unavailable', answer }
      case 'refused':
        throw new Error(`the letter ${id} was refused as a request: ${answer.code}`)
      case 'accepted': {
        const [rejection] = answer.rejected
        if (rejection !== undefined) {
          const { code, detail, errors = [] } = rejection
          const reason = { code, detail, errors }
          await store.release(tenant, id, reason)
          return { kind: 'rejected', reason }
        }
        const outcome = answer.accepted > 0 ? 'accepted' : 'duplicate'
        await store.settle(tenant, id, outcome, clock.now())
        return { kind: 'taken', outcome }
      }
    }
  }

  function send(tenant: TenantId, letter: KeptDeadLetter): Promise<IngestAnswer> {
    return ingest.accept({
      tenant,
      contentType: 'application/cloudevents+json',
      contentEncoding: undefined,
      headers: () => ({}),
      body: withTime(letter),
      atomic: false,
      receipts: false,
      isRetry: true,
    })
  }
}

/** An event without a time happened when it came, not when it is sent again. */
function withTime({ body, arrivedAt }: KeptDeadLetter): Uint8Array {
  const read = readExactJson(body)
  // With a member twice it is rejected again, as it is.
  if (read.kind === 'refused' || !isExactObject(read.value)) return body
  if ((read.value.get('time') ?? null) !== null) return body
  const timed = new Map([...read.value, ['time', formatInstant(arrivedAt)]] as const)
  return Buffer.from(writeExactJson(timed))
}
