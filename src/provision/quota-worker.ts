import type { CustomerKey, SubjectId, TenantId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { EventLog, LogBatch, LogConsumer } from '../usage/event-log.ts'
import type { ObservedUsage } from '../usage/observed.ts'
import { TOPIC_OBSERVED } from '../usage/topics.ts'
import type { Holder } from './holder.ts'
import type { Assignment, HolderDirectory, MeterDirectory, QuotaStore } from './ports.ts'
import type { Quotas } from './quotas.ts'

export interface QuotaWorkerDeps {
  readonly log: EventLog
  readonly store: Pick<QuotaStore, 'assignments'>
  readonly quotas: Pick<Quotas, 'evaluate' | 'evaluateAll'>
  readonly holders: Pick<HolderDirectory, 'customerOf'>
  readonly meters: MeterDirectory
  /** True once the figures that this process is told have everything before the cut in them. */
  readonly waitForJournal: (cut: Cut, timeoutMs: number) => Promise<boolean>
  readonly onFatal: (error: Error) => void
}

export interface QuotaWorker {
  stop(): Promise<void>
}

const GROUP = 'provision.quotas'
const JOURNAL_WAIT_MS = 10_000

/**
 * Follows `usage.observed.v1` and evaluates the quotas that it touches. The record says only whose usage may have
 * changed, so reading it twice, or not at all before the full evaluation at start, changes nothing.
 */
export async function startQuotaWorker(deps: QuotaWorkerDeps): Promise<QuotaWorker> {
  const { log, quotas, onFatal } = deps
  // What comes from here on is read from the log; what came before is in the figures that are asked for now.
  const committed = new Map((await log.committed(TOPIC_OBSERVED, GROUP)).map((p) => [p.partition, p.offset]))
  const oldest = new Map((await log.startOffsets(TOPIC_OBSERVED)).map((p) => [p.partition, p.offset]))
  await quotas.evaluateAll()
  const started = Promise.withResolvers<LogConsumer>()
  const consumer = await log.consume({
    topic: TOPIC_OBSERVED,
    group: GROUP,
    resumeAt: async (partition) => Math.max(committed.get(partition) ?? 0, oldest.get(partition) ?? 0),
    onBatch: async (batch) => {
      await untilCountable(batch, deps)
      await quotas.evaluate(await touchedAssignments(batch, deps))
      const next = (batch.records.at(-1)?.offset ?? -1) + 1
      committed.set(batch.partition, next)
      await (await started.promise).commit([{ partition: batch.partition, offset: next }])
    },
    onFatal,
  })
  started.resolve(consumer)
  return { stop: () => consumer.stop() }
}

/**
 * Where another process aggregates, this one may hear of usage before it sees the journal that has it in it: a figure
 * asked for then would be the old one, and nobody would ask again. @throws Error, and the batch comes again
 */
async function untilCountable(batch: LogBatch, { waitForJournal }: QuotaWorkerDeps): Promise<void> {
  const ends = new Map<number, number>()
  for (const { value } of batch.records) {
    const { journal } = JSON.parse(Buffer.from(value).toString('utf8')) as ObservedUsage
    for (const { partition, offset } of journal)
      ends.set(partition, Math.max(ends.get(partition) ?? 0, offset))
  }
  const cut = [...ends].map(([partition, offset]) => ({ partition, offset }))
  if (await waitForJournal(cut, JOURNAL_WAIT_MS)) return
  throw new Error('the journal that observed usage tells of is not seen here yet')
}

/** The observed quotas whose meter counts an event type that the batch touched, of the holders it touched. */
async function touchedAssignments(
  batch: LogBatch,
  { store, holders, meters }: QuotaWorkerDeps,
): Promise<readonly Assignment[]> {
  const touched = new Map<TenantId, Map<string, { readonly holder: Holder; readonly types: Set<string> }>>()
  const touch = (tenant: TenantId, holder: Holder, type: string): void => {
    const ofTenant = touched.get(tenant) ?? new Map<string, { holder: Holder; types: Set<string> }>()
    const index = `${holder.kind}\0${holder.id}`
    const entry = ofTenant.get(index) ?? { holder, types: new Set() }
    entry.types.add(type)
    touched.set(tenant, ofTenant.set(index, entry))
  }
  for (const record of batch.records) {
    const observed = JSON.parse(new TextDecoder().decode(record.value)) as ObservedUsage
    for (const { tenant, subject, type } of observed.touched) {
      touch(tenant as TenantId, { kind: 'subject', id: subject as SubjectId }, type)
      const customer: CustomerKey | null = holders.customerOf(tenant as TenantId, subject as SubjectId)
      if (customer !== null) touch(tenant as TenantId, { kind: 'customer', id: customer }, type)
    }
  }
  const found: Assignment[] = []
  for (const [tenant, ofTenant] of touched) {
    const assignments = await store.assignments({
      tenant,
      holders: [...ofTenant.values()].map((one) => one.holder),
    })
    for (const assignment of assignments) {
      const { quota, holder } = assignment
      if (quota.mode !== 'observed' || quota.meter === null) continue
      const type = meters.eventTypeOf(tenant, quota.meter)
      if (type !== null && ofTenant.get(`${holder.kind}\0${holder.id}`)?.types.has(type))
        found.push(assignment)
    }
  }
  return found
}
