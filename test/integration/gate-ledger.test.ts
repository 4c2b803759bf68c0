import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { createLedgerSnapshots } from '../../src/database/ledger-snapshots.ts'
import { createLedger } from '../../src/provision/ledger/ledger.ts'
import { openTestDatabase } from '../support/database.ts'
import { at } from '../support/gate.ts'
import { CALLS_OF_ACME } from '../support/leasing.ts'

let database: Database
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(async () => database.stop())

it('I11: keeps the later snapshot of each partition, to the letter', async () => {
  const snapshots = createLedgerSnapshots(database.db)
  expect(await snapshots.load(3)).toBeNull()
  const ledger = createLedger()
  const terms = {
    limit: 10n ** 18n,
    unit: 'µ "calls"',
    period: 'month',
    timezone: 'UTC',
    billingPeriod: null,
    ladder: [],
    rollover: null,
    onUnavailable: 'closed',
  } as const
  const command = { kind: 'setTerms', terms } as const
  ledger.applyRecord(
    0,
    { commandId: 'a', account: CALLS_OF_ACME, command, clock: null },
    at('2023-11-15T12:00:00Z'),
  )
  const early = ledger.snapshot()
  ledger.applyRecord(
    1,
    {
      commandId: 'b',
      account: CALLS_OF_ACME,
      command: { kind: 'charge', source: 's', cumulative: 5n },
      clock: null,
    },
    at('2023-11-15T12:00:01Z'),
  )
  const late = ledger.snapshot()
  await snapshots.save(3, early)
  await snapshots.save(3, late)
  await snapshots.save(3, early)
  const loaded = await snapshots.load(3)
  expect(loaded).toEqual(late)
  expect(createLedger(loaded).stateHash()).toBe(ledger.stateHash())
  expect(await snapshots.load(2)).toBeNull()
})
