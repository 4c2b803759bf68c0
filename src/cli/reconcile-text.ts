import { z } from 'zod'
import { grouped, renderTable } from './output.ts'

export const RECONCILE_PATH = '/v1/reconcile'

export const reconcileShape = z.looseObject({
  ok: z.boolean(),
  checks: z.array(
    z.looseObject({
      name: z.string(),
      ok: z.boolean(),
      expected: z.string().nullish(),
      actual: z.string().nullish(),
      detail: z.string().nullish(),
      counts: z.record(z.string(), z.number()).nullish(),
    }),
  ),
})
export type Reconciliation = z.infer<typeof reconcileShape>
type Check = Reconciliation['checks'][number]

const PARTITION = /, partition \d+$/

/** The checks as a table: those of one kind that hold for every partition are one row, a failed one stands by itself. */
export function renderReconciliation(reconciliation: Reconciliation): string {
  const kinds = Map.groupBy(reconciliation.checks, (check) => check.name.replace(PARTITION, ''))
  const rows = [...kinds].flatMap(([kind, checks]) =>
    checks.every((check) => check.ok)
      ? [['ok', checks.length === 1 ? kind : `${kind}, ${checks.length} partitions`, foundByAll(checks)]]
      : checks.map((check) => [check.ok ? 'ok' : 'FAIL', check.name, foundBy(check)]),
  )
  return renderTable([{ header: '' }, { header: 'Check' }, { header: 'Found' }], rows)
}

function foundByAll(checks: readonly Check[]): string {
  const sums = new Map<string, number>()
  for (const { counts } of checks) {
    for (const [name, count] of Object.entries(counts ?? {})) sums.set(name, (sums.get(name) ?? 0) + count)
  }
  if (sums.size > 0) return [...sums].map(([name, sum]) => `${grouped(sum)} ${name}`).join(', ')
  return checks.map(({ detail, actual }) => detail || (actual ?? '')).join(', ')
}

function foundBy({ ok, expected, actual, detail }: Check): string {
  const said = ok ? (actual ?? '') : `expected ${expected ?? '?'}, found ${actual ?? '?'}`
  return [said, detail ?? ''].filter((text) => text !== '').join('; ')
}
