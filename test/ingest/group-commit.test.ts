import { describe, expect, it } from 'vitest'
import { createGroupCommit, type GroupCommit } from '../../src/ingest/group-commit.ts'
import { instantOf } from '../../src/time/instant.ts'
import { createScriptedLog, type ScriptedLog } from '../support/scripted-log.ts'

interface Bench {
  readonly commit: GroupCommit
  readonly log: ScriptedLog
  /** Every append takes this long from now on. */
  readonly takes: (ms: number) => void
  /** Pauses that were asked for and have not ended. */
  readonly pauses: { readonly ms: number; readonly resume: () => void }[]
  /** Packs events and resolves when they are durable. */
  readonly put: (ids: readonly string[]) => Promise<boolean>
}

function aCommit(): Bench {
  const log = createScriptedLog()
  const pauses: { ms: number; resume: () => void }[] = []
  let nowMs = 0
  let appendMs = 0
  const commit = createGroupCommit({
    log: {
      append: async (topic, records) => {
        const outcomes = await log.append(topic, records)
        nowMs += appendMs
        return outcomes
      },
    },
    topic: 'usage.events.v1',
    partitions: 8,
    clock: { now: () => instantOf(0) },
    metrics: { appended: () => undefined },
    onFailed: () => undefined,
    monotonicMs: () => nowMs,
    pause: (resume, ms) => void pauses.push({ ms, resume }),
  })
  const put = (ids: readonly string[]): Promise<boolean> => {
    for (const id of ids) {
      const { encoder } = commit.openPack(0)
      encoder.beginEvent('t', '/s', id)
      encoder.describeEvent('x', 'u', instantOf(0))
      encoder.endEvent()
    }
    return commit.durable(commit.openGroup(), 1)
  }
  return { commit, log, takes: (ms) => void (appendMs = ms), pauses, put }
}

describe('group commit', () => {
  it('an idle log is written at once, and the next group right behind a quick append', async () => {
    const { put, log, pauses, takes } = aCommit()
    takes(0.9)
    log.hold()
    const first = put(['a'])
    await log.untilHeld()
    const second = put(['b'])
    log.release()
    expect(await Promise.all([first, second])).toEqual([true, true])
    expect(pauses).toEqual([])
    expect(log.appends).toEqual([1, 1])
  })

  it('behind a slow append a small group waits 1 ms for those who were just answered', async () => {
    const { put, log, pauses, takes } = aCommit()
    takes(3)
    log.hold()
    const first = put(['a'])
    await log.untilHeld()
    const second = put(['b'])
    log.release()
    await first
    expect(pauses.map(({ ms }) => ms)).toEqual([1])
    const third = put(['c'])
    pauses[0]?.resume()
    expect(await Promise.all([second, third])).toEqual([true, true])
    expect(log.events().map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    expect(log.appends).toHaveLength(2)
  })

  it('a large group does not wait, however slow the log is', async () => {
    const { put, log, pauses, takes } = aCommit()
    takes(3)
    log.hold()
    const first = put(['a'])
    await log.untilHeld()
    const second = put(Array.from({ length: 1000 }, (_, i) => `b${i}`))
    log.release()
    expect(await first).toBe(true)
    expect(pauses).toEqual([])
    expect(await second).toBe(true)
  })

  it('a pause that ends with nothing to write is over', async () => {
    const { put, log, pauses, takes } = aCommit()
    takes(3)
    expect(await put(['a'])).toBe(true)
    expect(pauses).toHaveLength(1)
    pauses[0]?.resume()
    takes(0)
    expect(await put(['b'])).toBe(true)
    expect(log.appends).toEqual([1, 1])
  })
})
