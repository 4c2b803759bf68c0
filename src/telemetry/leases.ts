import { Gauge, type Registry } from 'prom-client'

export interface LeaseFigures {
  readonly available: bigint
  readonly held: bigint
  readonly debt: bigint
}

/** Units of leased quotas in the hands of this process, asked for when `/metrics` is read. */
export function createLeaseMetrics(registry: Registry, figures: () => LeaseFigures): void {
  new Gauge({
    name: 'tallyman_quota_lease_units',
    help: 'Units of leased quotas here: free to admit, held by requests under way, and admitted without a lease.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const { available, held, debt } = figures()
      this.set({ state: 'available' }, Number(available))
      this.set({ state: 'held' }, Number(held))
      this.set({ state: 'debt' }, Number(debt))
    },
  })
}
