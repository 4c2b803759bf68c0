import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMemoryLog } from '../../src/log/memory-log.ts'
import { createFreshness, HEARTBEAT, STALE_MS_MAX, startHeartbeat } from '../../src/provision/freshness.ts'
import { applyKeyRecord } from '../../src/provision/gate-topic.ts'
import { createKeyTable } from '../../src/provision/key-table.ts'
import { type GateMembers, startGateMembers } from '../../src/provision/members.ts'
import { mintKey } from '../../src/provision/mint.ts'
import type { EventLog } from '../../src/usage/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { at, randomFrom, SILENT_METRICS, TENANT } from '../support/gate.ts'

let log: EventLog
let nowMs: number
const started: GateMembers[] = []
beforeEach(() => {
  log = createMemoryLog({ retryPauseMs: 1 })
  nowMs = 0
})
afterEach(async () => {
  for (const members of started.splice(0)) await members.stop()
  await log.close()
})

async function join(member: string, position: { applied: number }): Promise<GateMembers> {
  const members = await startGateMembers({
    log,
    member,
    applied: () => position.applied,
    monotonicMs: () => nowMs,
    heartbeatMs: 5,
    lapseMs: 5_000,
    onFatal: (error) => {
      throw error
    },
    onFault: (error) => {
      throw error
    },
  })
  started.push(members)
  return members
}

describe('I12: a revocation that was waited for is in force everywhere', () => {
  it('is answered when every member has applied it', async () => {
    const [here, there] = [{ applied: 1 }, { applied: 1 }]
    const mine = await join('a', here)
    const other = await join('b', there)
    await eventually(
      () => mine.members().length,
      (count) => count === 2,
      2_000,
    )
    here.applied = 2
    expect(await mine.whenAppliedEverywhere(2, 50)).toBe('late')
    const waiting = mine.whenAppliedEverywhere(2, 5_000)
    there.applied = 2
    other.announce()
    expect(await waiting).toBe('applied')
    expect(await other.whenAppliedEverywhere(2, 0)).toBe('applied')
  })

  it('does not wait for a member that left, nor for one that has been silent for longer than it may decide', async () => {
    const [here, left, silent] = [{ applied: 5 }, { applied: 1 }, { applied: 1 }]
    const mine = await join('a', here)
    const leaver = await join('b', left)
    const quiet = await join('c', silent)
    await eventually(
      () => mine.members().length,
      (count) => count === 3,
      2_000,
    )
    await leaver.stop()
    started.splice(started.indexOf(leaver), 1)
    await eventually(
      () => mine.members().length,
      (count) => count === 2,
      2_000,
    )
    expect(await mine.whenAppliedEverywhere(5, 30)).toBe('late')
    // Its process is gone without a word: no announcement comes any more.
    await quiet.stop()
    started.splice(started.indexOf(quiet), 1)
    await log.append('gate.members.v1', [
      { partition: 0, value: Buffer.from('{"member":"c","offset":1,"isLeaving":false}') },
    ])
    await eventually(
      () => mine.members().length,
      (count) => count === 2,
      2_000,
    )
    const waiting = mine.whenAppliedEverywhere(5, 5_000)
    nowMs += 5_001
    expect(await waiting).toBe('applied')
  })

  it('a member learns of those that were there before it', async () => {
    await join('a', { applied: 1 })
    const late = await join('b', { applied: 9 })
    await eventually(
      () => late.members().length,
      (count) => count === 2,
      2_000,
    )
    expect(await late.whenAppliedEverywhere(9, 20)).toBe('late')
  })
})

it('I12: a gate whose knowledge is too old does not let anybody in; what it refuses it refuses as before', () => {
  const freshness = createFreshness(() => nowMs)
  const holders = { now: () => at('2023-11-15T12:00:00Z') }
  const table = createKeyTable({ holders, monotonicMs: () => nowMs, metrics: SILENT_METRICS, freshness })
  const context = { nowMs: 0, createdAt: at('2023-11-15T12:00:00Z'), randomBytes: randomFrom(1) }
  const { key, state } = mintKey({ tenant: TENANT, name: 'k', scopes: [] }, context)
  table.apply(state)
  const code = (): string => table.decide({ tenant: TENANT, key, permission: null }).refusal?.code ?? 'valid'
  nowMs = STALE_MS_MAX
  expect(code()).toBe('valid')
  nowMs++
  expect(table.verify({ tenant: TENANT, key, permission: null })).toMatchObject({
    valid: false,
    refusal: { code: 'unavailable', status: 503, retryAfterSeconds: 2 },
  })
  applyKeyRecord(table, HEARTBEAT, freshness)
  expect(code()).toBe('valid')
  nowMs += STALE_MS_MAX + 1
  table.apply({ ...state, version: 2, revokedAt: at('2023-11-15T12:00:00Z') })
  expect(code()).toBe('revokedKey')
})

it('a heartbeat is written again and again, and a failure of one is told and made up for', async () => {
  await log.ensureTopic({ name: 'key.state.v1', partitions: 1, retentionMs: null })
  const faults: unknown[] = []
  let fails = 1
  const heartbeat = startHeartbeat({
    topic: 'key.state.v1',
    log: {
      append: (topic, records) =>
        fails-- > 0 ? Promise.reject(new Error('away')) : log.append(topic, records),
    },
    onFault: (error) => faults.push(error),
    everyMs: 2,
  })
  const end = async (): Promise<number> => (await log.endOffsets('key.state.v1'))[0]?.offset ?? 0
  await eventually(end, (offset) => offset >= 2, 2_000)
  await heartbeat.stop()
  const stopped = await end()
  expect(faults).toHaveLength(1)
  expect((await log.read('key.state.v1', 0, 0, 1_000))[0]?.value).toEqual(Uint8Array.from(HEARTBEAT))
  expect(await end()).toBe(stopped)
})
