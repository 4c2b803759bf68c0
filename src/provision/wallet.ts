import type { Instant } from '../time/instant.ts'
import type { Lease } from './ledger/account.ts'

/** Units of one lease that a request holds until it is settled. */
export interface Held {
  readonly lease: LocalLease
  readonly units: bigint
}

/** A lease in the hands of its holder. `left + held + used` is always `units`. */
interface LocalLease {
  readonly id: string
  readonly units: bigint
  readonly epoch: Lease['epoch']
  /** On a clock that never jumps: after it nothing more is admitted from it. */
  readonly endsAtMs: number
  left: bigint
  held: bigint
  used: bigint
  /** Sealed: never admits again, so that what is told at its return stays true. */
  isSealed: boolean
}

/** What goes back to the authority: told until it is confirmed, and the same each time. */
export interface Returned {
  readonly leaseId: string
  readonly used: bigint
}

/** The leases of one enforcer in one account. All of it is synchronous: nothing comes between a look and a take. */
export interface Wallet {
  /** What can be admitted at this moment, by both clocks. */
  available(now: Instant, monotonicMs: number): bigint
  /** Units that requests under way hold. */
  held(): bigint
  /** Takes in a lease. One that was here before is passed over: an answer may come twice. */
  add(lease: Pick<Lease, 'id' | 'units' | 'epoch'>, endsAtMs: number): void
  /** Takes units out for a request; null, and nothing is taken, where there are not as many. */
  take(units: bigint, now: Instant, monotonicMs: number): readonly Held[] | null
  /** Ends a take: `used` of it was used, from the first lease on; the rest goes back where it came from. */
  settle(taken: readonly Held[], used: bigint): void
  /** Seals the leases that are over, and all of them when `everything` is wanted. */
  seal(now: Instant, monotonicMs: number, everything: boolean): void
  /** Seals what a recall asks for: leases of which more than half is left. */
  sealForRecall(): void
  /** The sealed leases on which no request hangs any more. They stay until `confirm`. */
  returnable(): readonly Returned[]
  confirm(leaseId: string): void
  leases(): readonly LocalLease[]
}

export function createWallet(): Wallet {
  const leases = new Map<string, LocalLease>()
  /** Numbers of leases grow, so the highest one tells which were here before. */
  let highest = 0n

  const isUsable = (lease: LocalLease, now: Instant, monotonicMs: number): boolean =>
    !lease.isSealed &&
    monotonicMs < lease.endsAtMs &&
    // The clock that stamps an event also picks the period, so quota and invoice cannot disagree.
    now >= lease.epoch.start &&
    now < lease.epoch.end

  return {
    available(now, monotonicMs) {
      let sum = 0n
      for (const lease of leases.values()) if (isUsable(lease, now, monotonicMs)) sum += lease.left
      return sum
    },
    held() {
      let sum = 0n
      for (const lease of leases.values()) sum += lease.held
      return sum
    },
    add({ id, units, epoch }, endsAtMs) {
      if (BigInt(id) <= highest) return
      highest = BigInt(id)
      leases.set(id, { id, units, epoch, endsAtMs, left: units, held: 0n, used: 0n, isSealed: false })
    },
    take(units, now, monotonicMs) {
      if (this.available(now, monotonicMs) < units) return null
      const taken: Held[] = []
      let missing = units
      for (const lease of leases.values()) {
        if (missing === 0n) break
        if (!isUsable(lease, now, monotonicMs)) continue
        const part = lease.left < missing ? lease.left : missing
        if (part === 0n) continue
        lease.left -= part
        lease.held += part
        missing -= part
        taken.push({ lease, units: part })
      }
      return taken
    },
    settle(taken, used) {
      let rest = used
      for (const { lease, units } of taken) {
        const part = rest < units ? rest : units
        rest -= part
        lease.held -= units
        lease.used += part
        lease.left += units - part
      }
    },
    seal(now, monotonicMs, everything) {
      for (const lease of leases.values()) {
        const isOver = monotonicMs >= lease.endsAtMs || now >= lease.epoch.end
        if (everything || isOver || (lease.left === 0n && lease.held === 0n)) lease.isSealed = true
      }
    },
    sealForRecall() {
      for (const lease of leases.values()) if (lease.left * 2n > lease.units) lease.isSealed = true
    },
    returnable: () =>
      [...leases.values()]
        .filter((lease) => lease.isSealed && lease.held === 0n)
        .map((lease) => ({ leaseId: lease.id, used: lease.used })),
    confirm(leaseId) {
      leases.delete(leaseId)
    },
    leases: () => [...leases.values()],
  }
}
