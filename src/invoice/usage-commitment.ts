import type { TenantId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { CanonicalEvent } from '../usage/usage-query.ts'
import { leafHash, merkleRoot, sortLeaves } from './merkle.ts'
import type { UsageEvidence } from './ports.ts'
import type { UsageQuestion } from './usage-question.ts'

/** Events of one page while leaves are read. */
const pageEventsMax = 10_000

/** Every event behind a question at a cut, slice by slice. */
export async function* eventsBehind(
  question: UsageQuestion,
  tenant: TenantId,
  cut: Cut,
  evidence: UsageEvidence,
): AsyncGenerator<CanonicalEvent> {
  for (const { subjects, interval } of question.slices) {
    let after: string | null = null
    do {
      const page = await evidence.eventsAtCut({
        tenant,
        meter: question.meter,
        subjects,
        interval,
        groupBy: [],
        group: {},
        cut,
        limit: pageEventsMax,
        after,
      })
      yield* page.events
      after = page.next
    } while (after !== null)
  }
}

/** The leaves of a line's tree, sorted. 32 bytes an event are held. */
export async function leavesBehind(
  question: UsageQuestion,
  tenant: TenantId,
  cut: Cut,
  evidence: UsageEvidence,
): Promise<readonly Buffer[]> {
  const leaves: Buffer[] = []
  for await (const event of eventsBehind(question, tenant, cut, evidence)) leaves.push(leafHash(event))
  return sortLeaves(leaves)
}

export async function rootBehind(
  question: UsageQuestion,
  tenant: TenantId,
  cut: Cut,
  evidence: UsageEvidence,
): Promise<string> {
  return merkleRoot(await leavesBehind(question, tenant, cut, evidence))
}
