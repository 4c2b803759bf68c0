import type { TenantId } from '../id/ids.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { EventLog } from '../usage/event-log.ts'
import { EVENT_PARTITIONS, TOPIC_EPOCH, TOPIC_EVENTS } from '../usage/topics.ts'
import {
  canonicalCheck,
  densityCheck,
  journalCheck,
  type JudgedCheck,
  reachCheck,
  type ReconcileCheck,
  rollupCheck,
  type StoredPartition,
  sweptCheck,
} from './checks.ts'
import type { ConflictSweeper } from './conflicts.ts'
import type { JournalReach } from './journal-follower.ts'
import { type PartitionJournal, sumOf } from './journal.ts'
import { type IdentitySlice, replayPartition, ROW_CHECKSUM_SQL, SLICE_SQL } from './log-replay.ts'
import type { AggregateMetrics, UsageStore } from './ports.ts'
import type { RollupAudit } from './rollup-audit.ts'
import { readJournal } from './sink.ts'
import { readSwept } from './sweeps.ts'

interface Reconciliation {
  readonly ok: boolean
  readonly checks: readonly ReconcileCheck[]
}

export interface Reconciler {
  /** Every check, on the log's bytes and the usage store's rows. One run at a time; the metrics show the last. */
  run(tenant: TenantId, options: { readonly fixRollups: boolean }): Promise<Reconciliation>
  /** The checks that are cheap enough for every close; a failure of the last run counts as one until it is mended. */
  conservation(tenant: TenantId, cut: Cut): Promise<readonly ReconcileCheck[]>
}

export interface ReconcilerDeps {
  readonly log: Pick<EventLog, 'read' | 'startOffsets' | 'endOffsets'>
  readonly store: UsageStore
  readonly journal: Pick<JournalReach, 'waitForJournal'>
  readonly conflicts: ConflictSweeper
  /** Null where no rollups are kept. */
  readonly rollups: RollupAudit | null
  readonly metrics: Pick<AggregateMetrics, 'drift'>
}

const JOURNAL_WAIT_MS = 60_000
/** Identities of a partition held in memory at once; of a larger one every nth is looked at, another part each run. */
const IDENTITIES_MAX = 500_000

export function createReconciler(deps: ReconcilerDeps): Reconciler {
  const lastFailed = new Map<TenantId, readonly ReconcileCheck[]>()
  let previous: Promise<unknown> = Promise.resolve()
  let runs = 0

  const run = async (tenant: TenantId, fixRollups: boolean): Promise<Reconciliation> => {
    const checks = await everyCheck(deps, tenant, fixRollups, runs++)
    for (const [stage, ofStage] of Map.groupBy(checks, (check) => check.stage)) {
      deps.metrics.drift(
        stage,
        ofStage.reduce((sum, { drift }) => sum + drift, 0),
      )
    }
    const shown = checks.map(toldOf)
    lastFailed.set(
      tenant,
      shown.filter(({ ok }) => !ok),
    )
    return { ok: shown.every(({ ok }) => ok), checks: shown }
  }

  return {
    run: async (tenant, { fixRollups }) => {
      const mine = previous.then(() => run(tenant, fixRollups))
      previous = mine.catch(() => undefined) // the next run does not depend on this one; the caller is told
      return mine
    },
    conservation: async (tenant, cut) => {
      await deps.conflicts.sweep(tenant, cut)
      const journal = await readJournal(deps.store, TOPIC_EPOCH, EVENT_PARTITIONS)
      const checks = [
        densityCheck(journal, cut),
        reachCheck(journal, cut),
        sweptCheck(await readSwept(deps.store, tenant, 'conflict'), cut),
      ]
      return [...checks.map(toldOf), ...(lastFailed.get(tenant) ?? [])]
    },
  }
}

function toldOf({ name, ok, expected, actual, detail, counts }: JudgedCheck): ReconcileCheck {
  return { name, ok, expected, actual, detail, counts }
}

async function everyCheck(
  deps: ReconcilerDeps,
  tenant: TenantId,
  fixRollups: boolean,
  turn: number,
): Promise<readonly JudgedCheck[]> {
  const { log, store, conflicts, rollups } = deps
  const cut = await log.endOffsets(TOPIC_EVENTS)
  await deps.journal.waitForJournal(cut, JOURNAL_WAIT_MS)
  const journal = await readJournal(store, TOPIC_EPOCH, EVENT_PARTITIONS)
  const reach = reachCheck(journal, cut)
  const checks = [densityCheck(journal, null), reach]
  if (!reach.ok) return checks // the rest would only say it again
  await conflicts.sweep(tenant, cut)
  const starts = new Map((await log.startOffsets(TOPIC_EVENTS)).map((p) => [p.partition, p.offset]))
  for (const partition of journal) {
    checks.push(
      ...(await partitionChecks(deps, tenant, partition, starts.get(partition.partition) ?? 0, turn)),
    )
  }
  checks.push(sweptCheck(await readSwept(store, tenant, 'conflict'), cut))
  if (rollups !== null) checks.push(rollupCheck(await rollups.audit(tenant, fixRollups)))
  return checks
}

async function partitionChecks(
  { log, store }: ReconcilerDeps,
  tenant: TenantId,
  journal: PartitionJournal,
  start: number,
  turn: number,
): Promise<readonly JudgedCheck[]> {
  const { partition, end } = journal
  const chain = journal.chain.filter(({ from }) => from >= start)
  const from = chain[0]?.from ?? end
  const of = Math.max(1, Math.ceil(journal.events / IDENTITIES_MAX))
  const slice = { of, index: turn % of }
  const replay = await replayPartition(log, { partition, from, to: end }, tenant, slice)
  const gone =
    from === 0 ? '' : `from record ${from} on: what was before has left the log or is one journal row`
  const checks = [journalCheck(partition, sumOf(chain), replay.log, gone)]
  // Which copy came first cannot be told once the first records have gone.
  if (start > 0) return checks
  const whole =
    from === 0 ? replay : await replayPartition(log, { partition, from: 0, to: end }, tenant, slice)
  const stored = await storedPartition(store, tenant, partition, end, slice)
  const note = of === 1 ? '' : `; every ${of}th identity, part ${slice.index + 1}`
  return [...checks, canonicalCheck(partition, whole, stored, note)]
}

async function storedPartition(
  store: UsageStore,
  tenant: TenantId,
  partition: number,
  end: number,
  slice: IdentitySlice,
): Promise<StoredPartition> {
  const params = { tenant, partition, end, of: slice.of, index: slice.index }
  const known = `FROM usage_conflicts FINAL WHERE tenant = {tenant:String} AND kp = {partition:UInt16} AND ko < {end:UInt64}`
  const [row] = await store.query<{ rows: string; sum: string; xor: string }>(
    `SELECT count() AS rows, sum(toUInt64(crc)) % 281474976710656 AS sum, groupBitXor(crc) AS xor FROM (
       SELECT ${ROW_CHECKSUM_SQL} AS crc FROM usage_events FINAL
       WHERE tenant = {tenant:String} AND kp = {partition:UInt16} AND ko < {end:UInt64} AND ${SLICE_SQL}
         AND (kp, ko, ki) NOT IN (SELECT kp, ko, ki ${known}))`,
    params,
    'background',
  )
  const [conflicts] = await store.query<{ rows: string }>(
    `SELECT count() AS rows ${known} AND ${SLICE_SQL}`,
    params,
    'background',
  )
  return {
    rows: Number(row?.rows ?? 0),
    sum: Number(row?.sum ?? 0),
    xor: Number(row?.xor ?? 0),
    conflicts: Number(conflicts?.rows ?? 0),
  }
}
