import { expect, it } from 'vitest'
import type { ApiKeyId } from '../../src/id/ids.ts'
import { createLastUse } from '../../src/provision/last-use.ts'
import type { KeyUse } from '../../src/provision/ports.ts'
import { instantOf } from '../../src/time/instant.ts'
import { TENANT } from '../support/gate.ts'

function open(fails = { times: 0 }) {
  const written: KeyUse[][] = []
  const lastUse = createLastUse({
    noteUses: async (uses) => {
      if (fails.times-- > 0) throw new Error('away')
      written.push([...uses])
    },
  })
  const note = (keyId: string, ms: number): void => {
    lastUse.note({ tenant: TENANT, keyId: keyId as ApiKeyId }, instantOf(ms))
  }
  return { lastUse, written, note }
}

it('tells a key once a minute, however often it is used', async () => {
  const { lastUse, written, note } = open()
  for (let ms = 0; ms < 59_999; ms += 100) note('a', ms)
  await lastUse.flush()
  note('a', 59_999)
  await lastUse.flush()
  note('a', 60_000)
  await lastUse.flush()
  expect(written.flat().map((use) => use.at)).toEqual([0, 60_000])
})

it('is bounded: keys beyond the bound wait for their next use', async () => {
  const { lastUse, written, note } = open()
  for (let i = 0; i < 10_001; i++) note(`k${i}`, 0)
  await lastUse.flush()
  expect(written[0]).toHaveLength(10_000)
  note('k10000', 1)
  await lastUse.flush()
  expect(written[1]).toMatchObject([{ keyId: 'k10000', at: 1 }])
})

it('keeps what could not be written, and the later use wins', async () => {
  const { lastUse, written, note } = open({ times: 1 })
  note('a', 0)
  await expect(lastUse.flush()).rejects.toThrow('away')
  note('a', 70_000)
  await lastUse.flush()
  expect(written).toMatchObject([[{ keyId: 'a', at: 70_000 }]])
})
