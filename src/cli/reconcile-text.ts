import { z } from 'zod'
import { renderTable } from './output.ts'

export const RECONCILE_PATH = '/v1/reconcile'

export const reconcileShape = z.looseObject({
  ok: z.boolean(),
  checks: z.array(
    z.looseObject({
      name: z.string(),
      ok: z.boolean(),
      detail: z.string().nullish(),
    }),
  ),
})
export type Reconciliation = z.infer<typeof reconcileShape>

/** The checks as a table; whatever a check counted stands in its last column. */
export function renderReconciliation(reconciliation: Reconciliation): string {
  return renderTable(
    [{ header: '' }, { header: 'Check' }, { header: 'Found' }],
    reconciliation.checks.map((check) => [check.ok ? 'ok' : 'FAIL', check.name, describeCheck(check)]),
  )
}

function describeCheck(check: Reconciliation['checks'][number]): string {
  const { detail } = check
  const told = Object.entries(check)
    .filter(([key]) => !['name', 'ok', 'detail'].includes(key))
    .map(([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return [...(detail === null || detail === undefined || detail === '' ? [] : [detail]), ...told].join(', ')
}
