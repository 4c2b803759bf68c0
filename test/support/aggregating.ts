import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAggregator } from '../../src/aggregate/aggregator.ts'
import { createConflictSweeper } from '../../src/aggregate/conflicts.ts'
import type { AggregateMetrics, StageLogger, UsageStore } from '../../src/aggregate/ports.ts'
import { createUsageReader, type UsageReader } from '../../src/aggregate/usage-reader.ts'
import type { Aggregator } from '../../src/aggregate/worker.ts'
import type { MeterKey, TenantId } from '../../src/id/ids.ts'
import { createMemoryLog } from '../../src/log/memory-log.ts'
import { openUsageStore } from '../../src/store/usage-store.ts'
import { instantOf } from '../../src/time/instant.ts'
import type { UsageEvent } from '../../src/usage/event.ts'
import type { EventLog } from '../../src/usage/event-log.ts'
import type { Meter } from '../../src/usage/meter.ts'
import { TOPIC_EPOCH, TOPIC_EVENTS } from '../../src/usage/topics.ts'
import type { UsageAnswer, UsageAtCutRow, UsageRequest } from '../../src/usage/usage-query.ts'
import { appendEvents, ensureUsageTopics } from './usage-packs.ts'

export const TENANT = 'ten_1' as TenantId

export function aMeter(parts: Partial<Meter> = {}): Meter {
  return {
    tenant: TENANT,
    key: 'tokens' as MeterKey,
    name: 'Tokens',
    eventType: 'llm.request',
    aggregation: 'sum',
    valueProperty: 'tokens',
    groupBy: { model: 'model' },
    filters: {},
    revision: 1,
    ...parts,
  }
}

export const silentMetrics: AggregateMetrics = {
  flushed: () => undefined,
  insertFailed: () => undefined,
  freshness: () => undefined,
  buffered: () => undefined,
  watermark: () => undefined,
  minutesRecomputed: () => undefined,
  dirtyMinutes: () => undefined,
  conflictsFound: () => undefined,
  partitionHalted: () => undefined,
  queried: () => undefined,
  drift: () => undefined,
}

/** Warnings and errors end up in the test's output. */
export const testLogger: StageLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields, message) => console.warn(message, fields),
  error: (fields, message) => console.error(message, fields),
}

export interface Stage {
  readonly log: EventLog
  readonly store: UsageStore
  readonly aggregator: Aggregator
  readonly reader: UsageReader
  /** Appends events to the log and waits until they count. */
  accept(...events: readonly UsageEvent[]): Promise<void>
  /** Waits until everything on the log counts. */
  drain(): Promise<void>
  /** The meter's usage of all time, in one window unless the request says otherwise. */
  usage(meter: Meter, parts?: Partial<UsageRequest>): Promise<UsageAnswer>
  usageAtCut(meter: Meter): Promise<readonly UsageAtCutRow[]>
  close(): Promise<void>
}

const ALWAYS = { start: instantOf(0), end: instantOf(Date.UTC(2100, 0, 1)) }

export function temporaryDirectory(name: string): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), `tallyman-${name}-`))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** The stage on the real engine in this process, above a log in memory. */
export async function openStage(directory: string, log: EventLog = createMemoryLog()): Promise<Stage> {
  await ensureUsageTopics(log)
  const store = await openUsageStore({ kind: 'embedded', directory })
  const clock = { now: () => instantOf(Date.now()) }
  const aggregator = createAggregator({
    ...{ log, store, clock, metrics: silentMetrics, logger: testLogger },
    config: { flushIntervalMs: 20, flushRowsMax: 150_000 },
  })
  await aggregator.start()
  const conflicts = createConflictSweeper({ store, metrics: silentMetrics, epoch: TOPIC_EPOCH })
  const reader = createUsageReader({ store, journal: aggregator, conflicts })
  const drain = async (): Promise<void> => {
    const reached = await aggregator.waitForJournal(await log.endOffsets(TOPIC_EVENTS), 60_000)
    if (!reached) throw new Error(`the journal stands still: ${aggregator.fault() ?? 'no fault known'}`)
  }
  return {
    log,
    store,
    aggregator,
    reader,
    drain,
    accept: async (...events) => {
      await appendEvents(log, events)
      await drain()
    },
    usage: (meter, parts = {}) =>
      reader.query({
        ...{ tenant: TENANT, meter, interval: ALWAYS, window: 'none', timezone: 'UTC' },
        ...{ subjects: null, bySubject: false, groupBy: [], filters: {}, ...parts },
      }),
    usageAtCut: (meter) =>
      reader.usageAtCut({
        ...{ tenant: TENANT, meter, subjects: null, interval: ALWAYS, groupBy: [] },
        cut: aggregator.journal(),
      }),
    close: async () => {
      await aggregator.stop()
      await store.close()
    },
  }
}
