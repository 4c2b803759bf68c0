import type { TenantId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { UsageStore } from './ports.ts'
import { RowWriter } from './row-binary.ts'

/** What the log is searched for, tenant by tenant. */
export type SweepKind = 'conflict' | 'void'

/** How far the tenant's events have been searched. Everything found before it is durable. */
export async function readSwept(store: UsageStore, tenant: TenantId, kind: SweepKind): Promise<Cut> {
  const rows = await store.query<{ kp: number; ko: string }>(
    'SELECT kp, max(ko) AS ko FROM usage_sweeps WHERE tenant = {tenant:String} AND kind = {kind:String} GROUP BY kp',
    { tenant, kind },
  )
  return rows.map((row) => ({ partition: row.kp, offset: Number(row.ko) }))
}

/** After everything that was found is durable. */
export async function writeSwept(
  store: UsageStore,
  tenant: TenantId,
  kind: SweepKind,
  cut: Cut,
): Promise<void> {
  const rows = new RowWriter()
  for (const { partition, offset } of cut) {
    rows.reserve(64 + 3 * tenant.length)
    rows.string(tenant)
    rows.string(kind)
    rows.uint16(partition)
    rows.int64(offset)
    rows.endRow()
  }
  await store.insert({
    table: 'usage_sweeps',
    columns: [
      ['tenant', 'LowCardinality(String)'],
      ['kind', 'LowCardinality(String)'],
      ['kp', 'UInt16'],
      ['ko', 'UInt64'],
    ],
    chunks: rows.chunks(),
    rows: rows.rows,
  })
}
