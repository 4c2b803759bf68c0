import { describe, expect, it } from 'vitest'
import { killFleet } from '../support/kill-fleet.ts'
import { NOTHING_ASTRAY } from '../support/load-account.ts'

describe('kill -9 of ingest, aggregators, broker and ClickHouse at random under load, and a zombie', () => {
  it('I1, I3, I5: every acknowledged event counts, once, and nothing else does', async () => {
    const seed = Date.now() % 1_000_000
    const result = await killFleet({
      kills: 10,
      seed,
      eventsPerSecond: 2000,
      onProgress: (text) => console.log(`seed ${seed}: ${text}`),
    })
    expect(result.faults).toEqual([])
    expect(result.account).toMatchObject(NOTHING_ASTRAY)
    expect(result.account.acknowledged).toBeGreaterThan(1000)
  })
})
