import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTracer } from '../../src/aggregate/trace.ts'
import { traceJson } from '../../src/http/trace.ts'
import type { MeterKey } from '../../src/id/ids.ts'
import { instantOf } from '../../src/time/instant.ts'
import { aMeter, openStage, type Stage, temporaryDirectory, TENANT } from '../support/aggregating.ts'
import { aUsageEvent, NOON } from '../support/usage-packs.ts'

const directory = temporaryDirectory('trace')
const meters = [
  aMeter({ key: 'tokens' as MeterKey }),
  aMeter({ key: 'big' as MeterKey, filters: { model: ['big'] } }),
  aMeter({ key: 'seconds' as MeterKey, valueProperty: 'seconds' }),
]
let stage: Stage

beforeAll(async () => {
  stage = await openStage(directory.path)
})
afterAll(async () => {
  await stage.close()
  directory.remove()
})

async function trace(id: string) {
  const tracer = createTracer({
    ...{ store: stage.store, journal: stage.aggregator },
    meters: (_tenant, type) => meters.filter(({ eventType }) => eventType === type),
  })
  return traceJson(await tracer(TENANT, '/gateway', id))
}

describe('the trace of an event', () => {
  it('shows the copy that counts, what became of the others, and every meter of its type', async () => {
    const event = aUsageEvent({ id: 'one', properties: { tokens: '5', model: 'small' } })
    await stage.accept(event)
    await stage.accept(event)
    await stage.accept(aUsageEvent({ ...event, properties: { tokens: '6' } }))
    await stage.accept(aUsageEvent({ ...event, properties: {}, subject: 'another' }))
    await stage.accept(aUsageEvent({ ...event, properties: {}, time: instantOf(NOON + 40 * 86_400_000) }))
    const traced = await trace('one')
    const [first] = traced.copies
    expect(traced).toMatchObject({ status: 'counted', voidedBy: null })
    expect(traced.copies.map(({ standing, first: of }) => [standing, of])).toEqual([
      ['canonical', null],
      ['duplicate', first?.coordinate],
      ['conflict', first?.coordinate],
      ['conflict', first?.coordinate],
      ['canonical', null], // beyond the horizon it is another event
    ])
    expect(traced.meters).toEqual([
      {
        ...{ meter: 'tokens', revision: 1, counted: true, reason: 'Counted, read from the events.' },
        ...{ value: '5', minute: '2026-03-01T12:00:00Z', isRolled: false },
      },
      {
        ...{ meter: 'big', revision: 1, counted: false, value: null, minute: null, isRolled: false },
        reason: 'The filter on "model" does not have "small".',
      },
      {
        ...{ meter: 'seconds', revision: 1, counted: false, value: null, minute: null, isRolled: false },
        reason: '"seconds" has no value that can be read: "".',
      },
    ])
  })

  it('names the void that took it back', async () => {
    await stage.accept(
      aUsageEvent({ id: 'gone' }),
      aUsageEvent({
        ...{ type: '__void', source: 'tallyman/void', id: 'v1', subject: '' },
        properties: { 'target.source': '/gateway', 'target.id': 'gone' },
      }),
    )
    expect(await trace('gone')).toMatchObject({
      ...{ status: 'voided', voidedBy: { source: 'tallyman/void', id: 'v1' } },
      meters: [{ counted: false, reason: 'It was taken back.' }, {}, {}],
    })
  })

  it('says why an event is missing', async () => {
    await stage.accept(aUsageEvent({ id: 'unmetered', type: 'nobody-counts' }))
    expect(await trace('unmetered')).toMatchObject({
      ...{ status: 'notMetered', reason: 'No meter counts events of the type nobody-counts.' },
    })
    expect(await trace('never')).toMatchObject({ status: 'notReceived', copies: [], meters: [] })
  })
})
