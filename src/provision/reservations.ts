import type { TenantId } from '../id/ids.ts'
import type { Checked } from './gatekeeper.ts'
import type { Reserved } from './enforcer.ts'

/** Units that are held for work whose cost is not known yet. */
interface Reservation {
  readonly id: string
  readonly tenant: TenantId
  readonly expiresAtMs: number
  readonly reserved: Reserved
}

export type EndOutcome = 'ended' | 'repeated' | 'unknown' | 'otherwise'

export interface Reservations {
  /** Null when as many are open as may be. */
  open(
    tenant: TenantId,
    checked: Checked & { readonly reserved: Reserved },
    ttlMs: number,
  ): Reservation | null
  /** `otherwise`: it ended before in another way. */
  commit(tenant: TenantId, id: string, used: ReadonlyMap<string, bigint> | null): EndOutcome
  release(tenant: TenantId, id: string): EndOutcome
  /** Ends what was forgotten, as used in full: work that nobody tells of is never free. */
  expire(): number
  size(): number
}

export interface ReservationsDeps {
  readonly newId: () => string
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicMs: () => number
}

/** Reservations under way in this process. Each holds leases' units and some hundred bytes. */
const OPEN_MAX = 100_000
/** Ended reservations that are remembered, so that a repeated commit is answered as the first. */
const ENDED_MAX = 100_000

/** Reservations live in the process that made them; when it dies its leases are forfeited, and so charged in full. */
export function createReservations({ newId, monotonicMs }: ReservationsDeps): Reservations {
  const open = new Map<string, Reservation>()
  const ended = new Map<string, { readonly tenant: TenantId; readonly how: string }>()

  const end = (tenant: TenantId, id: string, how: string, act: (reserved: Reserved) => void): EndOutcome => {
    const before = ended.get(id)
    if (before !== undefined && before.tenant === tenant) return before.how === how ? 'repeated' : 'otherwise'
    const reservation = open.get(id)
    if (reservation === undefined || reservation.tenant !== tenant) return 'unknown'
    open.delete(id)
    act(reservation.reserved)
    ended.set(id, { tenant, how })
    if (ended.size > ENDED_MAX) {
      const [oldest] = ended.keys()
      if (oldest !== undefined) ended.delete(oldest)
    }
    return 'ended'
  }

  return {
    open(tenant, { reserved }, ttlMs) {
      if (open.size >= OPEN_MAX) return null
      const reservation = { id: newId(), tenant, expiresAtMs: monotonicMs() + ttlMs, reserved }
      open.set(reservation.id, reservation)
      return reservation
    },
    commit: (tenant, id, used) =>
      end(tenant, id, `commit ${describe(used)}`, (reserved) => reserved.settle(used ?? undefined)),
    release: (tenant, id) => end(tenant, id, 'release', (reserved) => reserved.release()),
    expire() {
      const nowMs = monotonicMs()
      const over = [...open.values()].filter((reservation) => reservation.expiresAtMs <= nowMs)
      for (const { tenant, id } of over) end(tenant, id, 'expired', (reserved) => reserved.settle())
      return over.length
    },
    size: () => open.size,
  }
}

function describe(used: ReadonlyMap<string, bigint> | null): string {
  return used === null
    ? 'all'
    : JSON.stringify([...used].map(([key, units]) => [key, String(units)]).toSorted())
}
