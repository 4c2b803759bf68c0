import { z } from 'zod'
import { type ApiClient, readShape } from '../api-client.ts'
import { waitFor } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { grouped } from '../output.ts'
import { CUSTOMER, QUOTA, QUOTA_LIMIT } from './catalog.ts'
import type { DemoMonth } from './months.ts'
import type { MonthTotals } from './scan.ts'
import type { DemoTenant } from './set-up.ts'
import type { DemoResult, Story } from './story.ts'

const quotaShape = z.looseObject({ key: z.string() })
const quotasShape = z.object({ data: z.array(quotaShape) })
const verdictShape = z.looseObject({
  valid: z.boolean(),
  code: z.string(),
  status: z.union([z.string(), z.number()]).nullish(),
  detail: z.string().nullish(),
})
type QuotaView = z.infer<typeof quotaShape>
type Verdict = z.infer<typeof verdictShape>

async function readQuota(api: ApiClient): Promise<QuotaView | null> {
  const path = `/v1/subjects/${CUSTOMER}/quotas`
  const { data } = readShape(quotasShape, await api.json('GET', path), path)
  return data.find((quota) => quota.key === QUOTA) ?? null
}

/** The decision that the gate takes for a call with this key. */
async function verifyKey(api: ApiClient, key: string): Promise<Verdict> {
  const path = '/v1/keys/verify'
  return readShape(verdictShape, await api.json('POST', path, { key }, { repeatable: true }), path)
}

/** Waits until the gate refuses the key. @throws CliFailure after 30 seconds */
async function waitForRefusal(deps: CliDeps, api: ApiClient, key: string): Promise<Verdict> {
  let last: Verdict | null = null
  return waitFor({
    deps,
    what: 'the quota to suspend the key',
    limitMs: 30_000,
    probe: async () => {
      last = await verifyKey(api, key)
      return last.valid ? null : last
    },
    seen: () => JSON.stringify(last),
  })
}

/** Shows the ladder of the quota and what the gate says to a call. Only while the month runs: the next one starts afresh. */
export async function showGate(
  { deps, output, watch, scan, admin }: Story,
  tenant: DemoTenant,
  month: DemoMonth,
  clock: string,
): Promise<DemoResult['quota']> {
  const totals: MonthTotals = scan.byMonth.get(month.month) ?? { rows: 0, outputTokens: 0n }
  const running = Date.parse(clock) < Date.parse(month.end)
  const expected = totals.outputTokens >= QUOTA_LIMIT && running
  const verdict = expected
    ? await waitForRefusal(deps, admin, tenant.gatedKey)
    : await verifyKey(admin, tenant.gatedKey)
  const quota = await readQuota(admin)
  const suspendedAt = quota === null ? null : suspensionOf(quota)
  const keyStatus = verdict.valid ? 'active' : 'suspended'
  output.note(
    `[4/6] quota ${grouped(QUOTA_LIMIT)} output tokens a month: ${describeGate(verdict, quota, suspendedAt, totals, running)} (${watch.lap('quota')} s)`,
  )
  return { suspendedAt, keyStatus, code: verdict.code }
}

function describeGate(
  verdict: Verdict,
  quota: QuotaView | null,
  suspendedAt: string | null,
  totals: MonthTotals,
  running: boolean,
): string {
  const ladder = quota === null ? '' : `\n      ${describeLadder(quota)}`
  if (!verdict.valid) {
    return `key suspended${suspendedAt === null ? '' : ` at ${suspendedAt}`}\n      a call with it is refused: ${verdict.code}: ${verdict.detail ?? ''}${ladder}`
  }
  if (!running) return `its month is over, the key is active again${ladder}`
  return `not reached with ${grouped(totals.outputTokens)}; the key stays active${ladder}`
}

function describeLadder(quota: QuotaView): string {
  return Object.entries(quota)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ')
}

/** When the rung that suspends was reached; null when it was not. */
function suspensionOf(quota: QuotaView): string | null {
  const { suspendedAt } = quota
  return typeof suspendedAt === 'string' ? suspendedAt : null
}
