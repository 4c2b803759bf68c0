import type { TenantId } from '../id/ids.ts'
import type { OtlpMappingChange } from '../usage/directory-change.ts'
import type { OtlpMapping } from '../usage/otlp-mapping.ts'

export interface KeyedOtlpMapping extends OtlpMapping {
  readonly key: string
}

/** The mappings of all tenants in memory, as the control plane publishes them. Starts empty. */
export interface OtlpMappingTable {
  /** By key. */
  of(tenant: TenantId, metric: string): readonly KeyedOtlpMapping[]
  /** Of two changes to one key the higher version wins; order and repetition do not matter. */
  apply(change: OtlpMappingChange): void
}

export function createOtlpMappings(): OtlpMappingTable {
  const tenants = new Map<
    TenantId,
    Map<string, { readonly version: number; readonly mapping: OtlpMapping | null }>
  >()
  return {
    of: (tenant, metric) =>
      [...(tenants.get(tenant) ?? [])]
        .flatMap(([key, { mapping }]) => (mapping?.metric === metric ? [{ ...mapping, key }] : []))
        .sort((a, b) => (a.key < b.key ? -1 : 1)),
    apply({ tenant, key, version, mapping }) {
      const ofTenant = tenants.get(tenant) ?? new Map<string, never>()
      tenants.set(tenant, ofTenant)
      if ((ofTenant.get(key)?.version ?? -1) >= version) return
      ofTenant.set(key, { version, mapping })
    },
  }
}
