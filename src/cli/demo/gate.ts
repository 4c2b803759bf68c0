import { z } from 'zod'
import { type ApiClient, readShape } from '../api-client.ts'
import { waitFor } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { grouped } from '../output.ts'
import { CUSTOMER, QUOTA, QUOTA_LIMIT } from './catalog.ts'
import type { DemoMonth } from './months.ts'
import type { DemoTenant } from './set-up.ts'
import type { DemoResult, Story } from './story.ts'

const quotaShape = z.looseObject({
  key: z.string(),
  unit: z.string(),
  used: z.string(),
  limit: z.string().nullable(),
  phase: z.string(),
  suspendedAt: z.string().nullable(),
  ladder: z.array(z.looseObject({ at: z.string(), action: z.string(), reachedAt: z.string().nullable() })),
})
const quotasShape = z.object({ data: z.array(quotaShape) })
const verdictShape = z.looseObject({
  valid: z.boolean(),
  code: z.string(),
  status: z.number(),
  detail: z.string(),
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

/**
 * Shows where the quota stands and what the gate says to a call. Must run while the month runs by the customer's
 * clock: with the next month the quota starts afresh and the key is open again.
 */
export async function showGate(
  { deps, output, watch, scan, admin }: Story,
  tenant: DemoTenant,
  month: DemoMonth,
  clock: string,
): Promise<DemoResult['quota']> {
  const used = scan.byMonth.get(month.month)?.outputTokens ?? 0n
  const running = Date.parse(clock) < Date.parse(month.end)
  const verdict =
    used >= QUOTA_LIMIT && running
      ? await waitForRefusal(deps, admin, tenant.gatedKey)
      : await verifyKey(admin, tenant.gatedKey)
  const quota = await readQuota(admin)
  output.note(
    [
      `[4/6] ${month.month}: the gate, ${watch.lap('quota')} s later`,
      ...(quota === null ? [] : describeQuota(quota)),
      `      a call with the customer's key: ${describeVerdict(verdict)}`,
      ...(verdict.valid ? [`      ${whyOpen(used, running)}`] : []),
    ].join('\n'),
  )
  return {
    suspendedAt: quota?.suspendedAt ?? null,
    keyStatus: verdict.valid ? 'active' : 'suspended',
    code: verdict.code,
  }
}

function describeQuota(quota: QuotaView): string[] {
  return [
    `      quota ${quota.key}: ${grouped(quota.used)} of ${grouped(quota.limit ?? 'unlimited')} ${quota.unit}s used, ${quota.phase}`,
    ...quota.ladder.map(
      (rung) =>
        `        at ${percent(rung.at)} ${rung.action.padEnd(8)} ${rung.reachedAt === null ? 'not reached' : `reached at ${rung.reachedAt}`}`,
    ),
  ]
}

/** `0.8` → ` 80 %`. Shares are written with a few digits only, so a number is exact enough to show. */
function percent(share: string): string {
  return `${String(Math.round(Number(share) * 10_000) / 100).padStart(3)} %`
}

function describeVerdict(verdict: Verdict): string {
  return verdict.valid ? 'admitted' : `refused with ${verdict.status} ${verdict.code}: ${verdict.detail}`
}

function whyOpen(used: bigint, running: boolean): string {
  return running
    ? `The quota is not reached with ${grouped(used)} output tokens, so the key stays active.`
    : 'The month is over by the customer’s clock, so the quota has started afresh and the key is active.'
}
