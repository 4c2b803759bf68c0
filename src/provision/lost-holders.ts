import type { Instant } from '../time/instant.ts'
import type { AccountName } from './ledger/account.ts'
import type { QuotaAuthority } from './ledger/authority.ts'

export interface LostHoldersDeps {
  readonly authority: Pick<QuotaAuthority, 'accounts' | 'submit'>
  /** Whether an enforcer of this name may still be at work. To be wrong about it costs idle units and nothing else. */
  readonly isAlive: (holder: string) => boolean
  /** The holder's present where it lives by a test clock, else null. */
  readonly testClock: (name: AccountName) => Instant | null
}

/**
 * Declares the holders of open leases lost that are not alive: their leases stay charged in full, and requests are no
 * longer told to wait for them. Any process may do it, and several at once.
 * @returns how many holders were declared lost, over all accounts
 */
export async function declareLostHolders({
  authority,
  isAlive,
  testClock,
}: LostHoldersDeps): Promise<number> {
  let lost = 0
  for (const { name, leases } of [...authority.accounts()]) {
    const dead = new Map<string, number>()
    for (const { holder, incarnation, state } of leases) {
      if (state !== 'open' || isAlive(holder)) continue
      dead.set(holder, Math.max(dead.get(holder) ?? 0, incarnation))
    }
    for (const [holder, incarnation] of dead) {
      await authority.submit(name, { kind: 'holderLost', holder, incarnation }, testClock(name))
      lost++
    }
  }
  return lost
}
