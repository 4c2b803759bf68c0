import { z } from 'zod'
import { readShape } from '../api-client.ts'
import { apiClientFor, progressOf, waitFor } from '../context.ts'
import { CliFailure } from '../failure.ts'
import { grouped } from '../output.ts'
import { COUNTING_METER, CUSTOMER } from './catalog.ts'
import type { DemoMonth } from './months.ts'
import { sendMonth, type SentSoFar } from './send.ts'
import type { DemoTenant } from './set-up.ts'
import type { Story } from './story.ts'

/** Sends a month's events and waits until each of them is counted, once. */
export async function sendAndCount(
  story: Story,
  tenant: DemoTenant,
  month: DemoMonth,
  soFar: SentSoFar,
): Promise<void> {
  const { deps, output, watch, scan, system } = story
  const rows = scan.byMonth.get(month.month)?.rows ?? 0
  if (rows === 0) {
    output.note(`[3/6] ${month.month}: no events`)
    return
  }
  const progress = progressOf(deps, output, `sending ${month.month}`, rows, 'events')
  const before = { ...soFar }
  try {
    await sendMonth({
      api: apiClientFor(deps, system.apiUrl, tenant.ingestKey),
      path: story.options.tracePath,
      month: month.month,
      soFar,
      progress,
      interrupted: deps.interrupted,
    })
  } finally {
    progress.stop()
  }
  const sentIn = watch.lap('send')
  await waitUntilCounted(story, month, rows)
  output.note(
    `[3/6] ${month.month}: ${grouped(soFar.sent - before.sent)} events sent in ${soFar.batches - before.batches} batches, ${soFar.repeatedBatches - before.repeatedBatches} of them twice, in ${sentIn} s; ` +
      `${grouped(rows)} counted once, ${watch.lap('count')} s later`,
  )
}

const usageShape = z.looseObject({ data: z.array(z.looseObject({ value: z.string().nullable() })) })

/** Polls the usage query until every event sent is in its answer. More than were sent is a fault at once. */
async function waitUntilCounted({ deps, admin }: Story, month: DemoMonth, rows: number): Promise<void> {
  const path = `/v1/meters/${COUNTING_METER}/usage`
  let counted = 0n
  await waitFor({
    deps,
    what: `${grouped(rows)} events of ${month.month} to be counted`,
    limitMs: 60_000 + rows,
    probe: async () => {
      const answer = await admin.json('GET', path, undefined, {
        query: { from: month.start, to: month.end, window: 'none', customer: CUSTOMER },
      })
      counted = readShape(usageShape, answer, path).data.reduce(
        (sum, row) => sum + BigInt(row.value ?? '0'),
        0n,
      )
      if (counted > BigInt(rows)) {
        throw new CliFailure(
          `${grouped(rows)} events were sent for ${month.month}, but ${grouped(counted)} are counted.`,
        )
      }
      return counted === BigInt(rows) ? counted : null
    },
    seen: () => `${grouped(counted)} events`,
  })
}
