import type { Instant } from '../time/instant.ts'
import type { AcquireAnswer } from './ledger/account.ts'
import type { Answer, Command } from './ledger/command.ts'
import { createWallet, type Held, type Returned, type Wallet } from './wallet.ts'

type AcquireCommand = Extract<Command, { kind: 'acquire' }>
type Denial = Extract<AcquireAnswer, { kind: 'denied' }>

/** One account as an enforcer sees it: its leases, and the one question to the authority that is under way. */
export interface LeaseClient {
  readonly wallet: Wallet
  /** Starts to ask for units, or repeats the question that has no answer yet. */
  ask(minUseful: bigint, monotonicMs: number): AcquireCommand
  /** The question that has no answer yet. */
  asked(): AcquireCommand | null
  /** Takes an answer in. An answer to another question, or to another life of this holder, is passed over. */
  receive(command: AcquireCommand, answer: Answer): 'granted' | 'denied' | 'again' | 'passedOver'
  /** Whether it is time to ask for more, before anybody has to wait for it. */
  isLow(now: Instant, monotonicMs: number): boolean
  /** Takes units for a request, and remembers the speed at which they go. */
  take(units: bigint, now: Instant, monotonicMs: number): readonly Held[] | null
  /** Leases to be given back, the same until they are confirmed. */
  returns(): readonly Returned[]
  /** The last denial, until something was granted. */
  denial(): Denial | null
}

export interface LeaseClientOptions {
  readonly holder: string
  readonly incarnation: number
  /** How long a lease may be used: it bounds what is stranded in the hands of an idle holder, nothing else. */
  readonly ttlMs: number
}

/** A lease covers so much of the present speed. */
const WANT_MS = 500
/** At this share of the last lease more is asked for. */
const RENEW_AT_PERCENT = 40n
/** Of the speed that was before, what counts after `WANT_MS`. */
const SPEED_HALF_LIFE = 0.5

export function createLeaseClient({ holder, incarnation, ttlMs }: LeaseClientOptions): LeaseClient {
  const wallet = createWallet()
  let sequence = 0
  let asked: { readonly command: AcquireCommand; readonly askedAtMs: number } | null = null
  let denial: Denial | null = null
  let lastUnits = 0n
  /** Units in the present span of `WANT_MS`, and the average of those before. */
  let span = { startMs: 0, units: 0n }
  let usual = 0

  const measure = (units: bigint, monotonicMs: number): void => {
    const elapsed = monotonicMs - span.startMs
    if (elapsed >= WANT_MS) {
      const spans = Math.max(1, elapsed / WANT_MS)
      usual = usual * SPEED_HALF_LIFE ** spans + (Number(span.units) / spans) * (1 - SPEED_HALF_LIFE)
      span = { startMs: monotonicMs, units: 0n }
    }
    span.units += units
  }

  return {
    wallet,
    asked: () => asked?.command ?? null,
    ask(minUseful, monotonicMs) {
      if (asked !== null) return asked.command
      const speed = BigInt(Math.ceil(Math.max(usual, Number(span.units))))
      const want = speed > minUseful ? speed : minUseful
      const command: AcquireCommand = {
        kind: 'acquire',
        holder,
        incarnation,
        sequence: ++sequence,
        want,
        minUseful,
      }
      asked = { command, askedAtMs: monotonicMs }
      return command
    },
    receive(command, answer) {
      if (
        asked === null ||
        command.incarnation !== incarnation ||
        command.sequence !== asked.command.sequence
      ) {
        return 'passedOver'
      }
      const { askedAtMs } = asked
      switch (answer.kind) {
        case 'granted':
          if (answer.sequence !== command.sequence) return 'passedOver'
          asked = null
          denial = null
          lastUnits = answer.lease.units
          // From the moment of asking: the authority's clock plays no part.
          wallet.add(answer.lease, askedAtMs + ttlMs)
          return 'granted'
        case 'denied':
          asked = null
          denial = answer
          return 'denied'
        case 'stale':
        case 'done':
        case 'conflict':
          asked = null
          return 'again'
        case 'unknownAccount':
        case 'invalid':
          asked = null
          throw new Error(`the ledger refused an acquire: ${answer.kind}`)
      }
    },
    isLow(now, monotonicMs) {
      if (asked !== null || lastUnits === 0n) return false
      return wallet.available(now, monotonicMs) * 100n < lastUnits * RENEW_AT_PERCENT
    },
    take(units, now, monotonicMs) {
      const taken = wallet.take(units, now, monotonicMs)
      if (taken !== null) measure(units, monotonicMs)
      return taken
    },
    returns: () => wallet.returnable(),
    denial: () => denial,
  }
}
