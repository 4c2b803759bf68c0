import type { ColumnType, Generated } from 'kysely'
import type { KeyState, QuotaStatus } from '../provision/key-state.ts'
import type { Quota } from '../provision/quota.ts'
import type { Notice } from '../provision/settle.ts'
import type { JsonColumn } from './schema-control.ts'

interface QuotasTable {
  tenant: string
  key: string
  document: JsonColumn<Quota>
  version: number
  created_at: Date
  updated_at: Date
}

interface ApiKeysTable {
  tenant: string
  id: string
  hash: string
  customer: string | null
  subject: string | null
  holder_kind: string | null
  holder_id: string | null
  quotas: string[]
  revoked: boolean
  version: number
  state: JsonColumn<KeyState>
  last_used_at: ColumnType<Date | null, never, Date>
  created_at: Generated<Date>
}

interface QuotaAssignmentsTable {
  tenant: string
  quota: string
  holder_kind: string
  holder_id: string
  status: ColumnType<QuotaStatus | null, string | null, string>
  created_at: Generated<Date>
}

interface QuotaNoticesTable {
  tenant: string
  id: string
  number: ColumnType<number, never, never>
  quota: string
  holder_kind: string
  holder_id: string
  epoch: string
  notice: JsonColumn<Notice>
  created_at: Generated<Date>
}

interface QuotaTopUpsTable {
  tenant: string
  id: string
  quota: string
  holder_kind: string
  holder_id: string
  epoch: string
  /** Exact decimal text. */
  units: string
  at: Date
  created_at: Generated<Date>
}

interface QuotaLedgerSnapshotsTable {
  partition: number
  log_offset: number
  now_ms: number
  hash: string
  accounts: string
  updated_at: Generated<Date>
}

/** The tables of 0002_keys_and_quotas.sql, as rows look in this program. */
export interface ProvisionTables {
  quotas: QuotasTable
  api_keys: ApiKeysTable
  quota_assignments: QuotaAssignmentsTable
  quota_ledger_snapshots: QuotaLedgerSnapshotsTable
  quota_notices: QuotaNoticesTable
  quota_top_ups: QuotaTopUpsTable
}
