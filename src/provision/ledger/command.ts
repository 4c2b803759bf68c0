import type { Instant } from '../../time/instant.ts'
import type { Account, AccountName, AcquireAnswer, Terms } from './account.ts'

/**
 * Everything that can change an answer. A command is appended to the log first and decided when it is read back, in
 * log order: whoever reads the log comes to the same answer, and the order of arrival anywhere else means nothing.
 */
export type Command =
  | { readonly kind: 'setTerms'; readonly terms: Terms }
  | {
      readonly kind: 'acquire'
      /** The enforcer, and which life of it. */
      readonly holder: string
      readonly incarnation: number
      /** Of the holder's acquires in this account, one at a time: a repetition has the same. */
      readonly sequence: number
      readonly want: bigint
      /** Less than this would not do: the cost of the request that waits. */
      readonly minUseful: bigint
    }
  | { readonly kind: 'return'; readonly leaseId: string; readonly used: bigint }
  /** The holder, up to this life of it, will be heard of no more. */
  | { readonly kind: 'holderLost'; readonly holder: string; readonly incarnation: number }
  /** What was used of a forfeited lease is known for certain. */
  | { readonly kind: 'reconcile'; readonly leaseId: string; readonly used: bigint }
  | {
      readonly kind: 'grant'
      readonly grantId: string
      readonly units: bigint
      readonly priority: number
      readonly effectiveAt: Instant
      /** `epoch`: when the current period ends. */
      readonly expiresAt: Instant | 'epoch' | null
    }
  /** Units that came past the gate, as the cumulative figure of the life of their source: a repetition adds nothing. */
  | { readonly kind: 'charge'; readonly source: string; readonly cumulative: bigint }
  | { readonly kind: 'tick' }

/** As it stands on the log. */
export interface CommandRecord {
  /** Of the submission, so that its sender recognises the answer; a repetition has another. */
  readonly commandId: string
  readonly account: AccountName
  readonly command: Command
  /** The holder's present where it lives by a test clock; else the log's time counts. */
  readonly clock: Instant | null
}

export type Answer =
  | AcquireAnswer
  /** Done, or done before: the same for a repetition. */
  | { readonly kind: 'done' }
  /** The command comes from a life of its holder that was declared lost, or after a later acquire. Nothing was done. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'unknownAccount' }
  /** The id of a grant was used for other units. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'invalid'; readonly detail: string }

/** What a command made of an account. */
export interface Decided {
  readonly account: Account
  readonly answer: Answer
}

/** JSON with whole numbers of any size as `{"$n":"12"}`, which no text of anybody can be mistaken for. */
export function encodeRecord(record: CommandRecord): Uint8Array {
  return Buffer.from(toJson(record))
}

/** @throws SyntaxError when it is not JSON */
export function decodeRecord(value: Uint8Array): CommandRecord {
  return fromJson(Buffer.from(value).toString('utf8')) as CommandRecord
}

export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'bigint' ? { $n: String(member) } : member,
  )
}

export function fromJson(text: string): unknown {
  return JSON.parse(text, (_, member: unknown) => {
    if (typeof member !== 'object' || member === null || !('$n' in member)) return member
    return typeof member.$n === 'string' ? BigInt(member.$n) : member
  })
}
