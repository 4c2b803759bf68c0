import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SubjectId } from '../../src/id/ids.ts'
import { instantOf } from '../../src/time/instant.ts'
import { aMeter, openStage, type Stage, temporaryDirectory, TENANT } from '../support/aggregating.ts'
import { aUsageEvent, NOON } from '../support/usage-packs.ts'

const directory = temporaryDirectory('aggregate')
let stage: Stage

beforeAll(async () => {
  stage = await openStage(directory.path)
})
afterAll(async () => {
  await stage.close()
  directory.remove()
})

describe('from the log to a quantity', () => {
  it('I5: counts an identity once, however often and with whatever payload it comes', async () => {
    const meter = aMeter({ eventType: 'once' })
    const first = aUsageEvent({ type: 'once', id: 'a', properties: { tokens: '10.5' } })
    await stage.accept(first)
    await stage.accept(first, aUsageEvent({ type: 'once', id: 'b', properties: { tokens: '0.000000001' } }))
    await stage.accept(aUsageEvent({ type: 'once', id: 'a', properties: { tokens: '99' } }))
    const { rows } = await stage.usage(meter)
    expect(rows).toMatchObject([{ value: '10.500000001', events: 2, unusable: 0, group: {} }])
    expect(await stage.usageAtCut(meter)).toEqual([
      { group: {}, value: '10.500000001', events: 2, unusable: 0 },
    ])
  })

  it('I6: the first copy counts where a later one has another time, subject or type', async () => {
    const meter = aMeter({ eventType: 'moved' })
    const first = aUsageEvent({ type: 'moved', id: 'm', properties: { tokens: '7' } })
    await stage.accept(first)
    await stage.accept(
      aUsageEvent({ ...first, properties: { tokens: '8' }, time: instantOf(NOON + 3_600_000) }),
      aUsageEvent({ type: 'moved', id: 'm', subject: 'another', properties: { tokens: '9' } }),
      aUsageEvent({ type: 'moved-elsewhere', id: 'm', properties: { tokens: '10' } }),
    )
    expect(await stage.usageAtCut(meter)).toMatchObject([{ value: '7', events: 1 }])
    expect(await stage.usageAtCut(aMeter({ eventType: 'moved-elsewhere' }))).toMatchObject([
      { value: '0', events: 0 },
    ])
  })

  it('leaves out what a void names, whichever came first', async () => {
    const meter = aMeter({ eventType: 'voided' })
    const voidOf = (id: string) =>
      aUsageEvent({
        ...{ type: '__void', source: 'tallyman/void', id: `void-${id}`, subject: '' },
        properties: { 'target.source': '/gateway', 'target.id': id },
      })
    await stage.accept(voidOf('v2'))
    await stage.accept(
      aUsageEvent({ type: 'voided', id: 'v1', properties: { tokens: '1' } }),
      aUsageEvent({ type: 'voided', id: 'v2', properties: { tokens: '2' } }),
      aUsageEvent({ type: 'voided', id: 'v3', properties: { tokens: '4' } }),
    )
    const before = stage.aggregator.journal()
    await stage.accept(voidOf('v1'))
    expect((await stage.usage(meter)).rows).toMatchObject([{ value: '4', events: 1 }])
    expect(await stage.usageAtCut(meter)).toMatchObject([{ value: '4', events: 1 }])
    const earlier = await stage.reader.usageAtCut({
      ...{ tenant: TENANT, meter, subjects: null, groupBy: [], cut: before },
      interval: { start: instantOf(0), end: instantOf(NOON + 1) },
    })
    expect(earlier).toMatchObject([{ value: '5', events: 2 }])
  })

  it('counts values that are missing or no decimal apart, and cuts nothing off', async () => {
    const texts = ['1', '-2.5', '0.1234567890', '00012345678901234567890123456789']
    const unusable = ['0.1234567891', '1e3', '', ' 1', '+1', 'NaN', '1.', '123456789012345678901234567890']
    await stage.accept(
      ...[...texts, ...unusable].map((tokens, i) =>
        aUsageEvent({ type: 'odd', id: `odd-${i}`, properties: { tokens } }),
      ),
      aUsageEvent({ type: 'odd', id: 'odd-none', properties: {} }),
    )
    expect(await stage.usageAtCut(aMeter({ eventType: 'odd' }))).toEqual([
      {
        group: {},
        value: '12345678901234567890123456787.623456789',
        events: texts.length + unusable.length + 1,
        unusable: unusable.length + 1,
      },
    ])
  })

  it('groups, filters and cuts windows in a zone', async () => {
    const event = (id: string, time: string, subject: string, model: string, tokens: string) =>
      aUsageEvent({
        ...{ type: 'grouped', id, subject, time: instantOf(Date.parse(time)) },
        properties: { model, tokens },
      })
    await stage.accept(
      event('g1', '2026-03-28T22:59:59.999Z', 'a', 'big', '1'),
      event('g2', '2026-03-28T23:00:00Z', 'a', 'small', '2'),
      event('g3', '2026-03-29T21:59:59Z', 'b', 'big', '4'),
      event('g4', '2026-03-29T22:00:00Z', 'b', 'big', '8'),
    )
    const meter = aMeter({ eventType: 'grouped' })
    const interval = {
      start: instantOf(Date.parse('2026-03-27T23:00:00Z')),
      end: instantOf(Date.parse('2026-03-30T22:00:00Z')),
    }
    const days = await stage.usage(meter, { interval, window: 'day', timezone: 'Europe/Berlin' })
    expect(days.rows.map((row) => [(row.interval.end - row.interval.start) / 3_600_000, row.value])).toEqual([
      [24, '1'],
      [23, '6'],
      [24, '8'],
    ])
    const grouped = await stage.usage(meter, { interval, groupBy: ['model'], bySubject: true })
    expect(grouped.rows.map((row) => [row.subject, row.group, row.value])).toEqual([
      ['a', { model: 'big' }, '1'],
      ['a', { model: 'small' }, '2'],
      ['b', { model: 'big' }, '12'],
    ])
    const filtered = await stage.usage(meter, {
      ...{ interval, filters: { model: ['big'] }, subjects: ['b' as SubjectId, 'c' as SubjectId] },
    })
    expect(filtered.rows).toMatchObject([{ value: '12', events: 2 }])
    const paid = await stage.usage(aMeter({ eventType: 'grouped', filters: { model: ['small'] } }))
    expect(paid.rows).toMatchObject([{ value: '2' }])
  })

  it('aggregates in every way', async () => {
    const values = [
      ['5', 0],
      ['3', 60],
      ['10', 30],
      ['3', 45],
    ] as const
    await stage.accept(
      ...values.map(([tokens, seconds], i) =>
        aUsageEvent({
          ...{ type: 'ways', id: `w${i}`, time: instantOf(NOON + seconds * 1000) },
          properties: { tokens },
        }),
      ),
      aUsageEvent({ type: 'ways', id: 'w-none', time: instantOf(NOON + 90_000), properties: {} }),
    )
    const of = async (aggregation: 'sum' | 'count' | 'uniqueCount' | 'min' | 'max' | 'avg' | 'latest') => {
      const [row] = await stage.usageAtCut(aMeter({ eventType: 'ways', aggregation }))
      const { rows } = await stage.usage(aMeter({ eventType: 'ways', aggregation }))
      expect(rows[0]?.value).toBe(row?.value)
      return row?.value
    }
    expect(await of('sum')).toBe('21')
    expect(await of('count')).toBe('5')
    expect(await of('uniqueCount')).toBe('3')
    expect(await of('min')).toBe('3')
    expect(await of('max')).toBe('10')
    expect(await of('avg')).toBe('5.25')
    expect(await of('latest')).toBe('3')
    const none = await stage.usageAtCut(aMeter({ eventType: 'never', aggregation: 'latest' }))
    expect(none).toEqual([{ group: {}, value: null, events: 0, unusable: 0 }])
  })

  it('I7: counts nothing at a cut that the journal has not reached', async () => {
    const [first, ...rest] = stage.aggregator.journal()
    const cut = [{ partition: 0, offset: (first?.offset ?? 0) + 1 }, ...rest]
    const asked = stage.reader.usageAtCut({
      ...{ tenant: TENANT, meter: aMeter(), subjects: null, groupBy: [], cut },
      interval: { start: instantOf(0), end: NOON },
    })
    await expect(asked).rejects.toMatchObject({ name: 'UsageReadError', code: 'journalBehind' })
  })

  it('pages through the events behind a quantity', async () => {
    await stage.accept(
      ...['1', '2', '3', '4', '5'].map((tokens) =>
        aUsageEvent({ type: 'paged', id: `p${tokens}`, properties: { tokens, model: "o'b\\n" } }),
      ),
    )
    const meter = aMeter({ eventType: 'paged' })
    const seen: string[] = []
    let after: string | null = null
    do {
      const page = await stage.reader.eventsAtCut({
        ...{ tenant: TENANT, meter, subjects: null, groupBy: [], cut: stage.aggregator.journal() },
        interval: { start: NOON, end: instantOf(NOON + 1) },
        ...{ group: { model: "o'b\\n" }, limit: 2, after },
      })
      seen.push(...page.events.map(({ value }) => value ?? ''))
      after = page.next
    } while (after !== null)
    expect(seen.toSorted()).toEqual(['1', '2', '3', '4', '5'])
  })
})

describe('a restart', () => {
  it('I3: resumes at the journal and counts the same', async () => {
    const meter = aMeter({ eventType: 'restart', aggregation: 'count' })
    const events = Array.from({ length: 3000 }, (_, i) => aUsageEvent({ type: 'restart', id: `r${i}` }))
    await stage.accept(...events)
    const journal = stage.aggregator.journal()
    await stage.close()
    stage = await openStage(directory.path, stage.log)
    expect(stage.aggregator.journal()).toEqual(journal)
    await stage.accept(...events.slice(0, 10), aUsageEvent({ type: 'restart', id: 'new' }))
    expect((await stage.usage(meter)).rows).toMatchObject([{ value: '3001' }])
  })
})
