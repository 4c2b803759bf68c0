import { describe, expect, it } from 'vitest'
import type { CorrectionKind } from '../../src/ingest/corrections.ts'
import type { IngestAnswer } from '../../src/ingest/answer.ts'
import { partitionOf } from '../../src/usage/partition.ts'
import { aCloudEvent, aStage, NOW, type Stage, TENANT } from '../support/ingest.ts'
import { decodePack } from '../support/scripted-log.ts'

const correct = (stage: Stage, kind: CorrectionKind, body: unknown): Promise<IngestAnswer> =>
  stage.ingest.correct({
    tenant: TENANT,
    kind,
    contentEncoding: undefined,
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  })
const target = { source: '/gateway', id: 'evt-1', reason: 'sent by mistake' }
const amended = { ...target, event: aCloudEvent({ id: 'evt-1b', data: { tokens: 13 } }) }

describe('void', () => {
  it('is an event of its own that names the other', async () => {
    const stage = aStage()
    expect(await correct(stage, 'void', { events: [target] })).toEqual({
      kind: 'accepted',
      accepted: 1,
      duplicates: 0,
      rejected: [],
    })
    expect(stage.log.events()).toEqual([
      {
        tenant: TENANT,
        source: 'urn:tallyman:void',
        id: '/gateway evt-1',
        type: '__void',
        subject: '',
        time: NOW,
        properties: { 'target.source': '/gateway', 'target.id': 'evt-1', reason: 'sent by mistake' },
      },
    ])
  })

  it('I2: lies in the partition of its own identity', async () => {
    const stage = aStage()
    const events = Array.from({ length: 50 }, (_, i) => ({ ...target, id: `evt-${i}` }))
    await correct(stage, 'void', { events })
    for (const [partition, records] of stage.log.records.entries()) {
      for (const { source, id } of records.flatMap((record) => decodePack(record).events)) {
        expect(partitionOf(TENANT, source, id, 8)).toBe(partition)
      }
    }
    expect(stage.log.events()).toHaveLength(50)
  })

  it('I7: is written once, however often it is asked for and for whatever reason', async () => {
    const stage = aStage()
    await correct(stage, 'void', { events: [target, target] })
    const again = await correct(stage, 'void', { events: [{ ...target, reason: 'another' }] })
    expect(again).toMatchObject({ accepted: 0, duplicates: 1 })
    expect(stage.log.events()).toHaveLength(1)
  })

  it('I1: is not confirmed before it is durable', async () => {
    const stage = aStage()
    stage.log.failNext(() => 'failed')
    expect(await correct(stage, 'void', { events: [target] })).toMatchObject({ code: 'logUnavailable' })
    expect(await correct(stage, 'void', { events: [target] })).toMatchObject({ accepted: 1 })
  })

  it('cannot be forged or itself taken back', async () => {
    const stage = aStage()
    const forged = aCloudEvent({ source: 'urn:tallyman:void', id: '/gateway evt-1' })
    expect(await stage.send([forged])).toMatchObject({ rejected: [{ code: 'invalidSource' }] })
    const ofVoid = { ...target, source: 'urn:tallyman:void', id: '/gateway evt-1' }
    expect(await correct(stage, 'void', { events: [ofVoid] })).toMatchObject({
      accepted: 0,
      duplicates: 0,
      rejected: [{ index: 0, code: 'invalidTarget' }],
    })
  })

  it.each([
    [7, 'notAnObject'],
    [{ ...target, source: undefined }, 'invalidTarget'],
    [{ ...target, source: 'two words' }, 'invalidTarget'],
    [{ ...target, id: '' }, 'invalidTarget'],
    [{ ...target, id: 'a\u0000' }, 'invalidTarget'],
    [{ ...target, reason: undefined }, 'invalidReason'],
    [{ ...target, reason: 'x'.repeat(1001) }, 'invalidReason'],
    [{ ...target, reason: '\ud800' }, 'invalidReason'],
  ])('%j is rejected: %s', async (item, code) => {
    const stage = aStage()
    const answer = await correct(stage, 'void', { events: [target, item] })
    expect(answer).toMatchObject({ accepted: 1, rejected: [{ index: 1, code }] })
    expect(stage.log.events()).toHaveLength(1)
  })

  it.each([
    ['[]', 'malformedCorrections'],
    ['{"events":{}}', 'malformedCorrections'],
    ['{"events":[],"events":[]}', 'malformedJson'],
    ['{', 'malformedJson'],
    [JSON.stringify({ events: Array(1001).fill(target) }), 'tooManyEvents'],
  ])('%.30s is refused: %s', async (body, code) => {
    expect(await correct(aStage(), 'void', body)).toMatchObject({ kind: 'refused', code })
  })
})

describe('amend', () => {
  it('takes the one back and puts the other in its place, which says so', async () => {
    const stage = aStage()
    expect(await correct(stage, 'amend', { events: [amended] })).toMatchObject({ accepted: 1, rejected: [] })
    const events = stage.log.events().sort((a, b) => (a.type < b.type ? -1 : 1))
    expect(events).toMatchObject([
      { type: '__void', properties: { 'target.source': '/gateway', 'target.id': 'evt-1' } },
      {
        id: 'evt-1b',
        properties: { tokens: '13', 'replaces.source': '/gateway', 'replaces.id': 'evt-1' },
      },
    ])
    expect(await correct(stage, 'amend', { events: [amended] })).toMatchObject({ accepted: 0, duplicates: 1 })
    expect(stage.log.events()).toHaveLength(2)
  })

  it('takes nothing back for an event that cannot take its place', async () => {
    const stage = aStage()
    const bad = (event: unknown): unknown => ({ ...target, event })
    const events = [
      bad(undefined),
      bad(aCloudEvent()),
      bad(aCloudEvent({ id: 'x', time: 'noon' })),
      bad(aCloudEvent({ id: 'x', data: { replaces: 'mine' } })),
      bad(aCloudEvent({ id: 'x', data: 5 })),
    ]
    expect(await correct(stage, 'amend', { events })).toMatchObject({
      accepted: 0,
      duplicates: 0,
      rejected: [
        { index: 0, code: 'missingReplacement' },
        { index: 1, code: 'sameIdentity' },
        { index: 2, code: 'invalidTime' },
        { index: 3, code: 'duplicateKey' },
        { index: 4, code: 'unsupportedData' },
      ],
    })
    expect(stage.log.events()).toEqual([])
  })

  it('keeps numbers as they were spelled, and events without data', async () => {
    const stage = aStage()
    const event = JSON.stringify(aCloudEvent({ id: 'n', data: { a: 0 } })).replace('"a":0', '"a":1.50')
    const bare = JSON.stringify({ ...aCloudEvent({ id: 'm' }), data: undefined })
    const body = `{"events":[{"source":"/gateway","id":"1","reason":"r","event":${event}},{"source":"/gateway","id":"2","reason":"r","event":${bare}}]}`
    expect(await correct(stage, 'amend', body)).toMatchObject({ accepted: 2, rejected: [] })
    const byId = new Map(stage.log.events().map((one) => [one.id, one.properties]))
    expect(byId.get('n')).toEqual({ a: '1.5', 'replaces.source': '/gateway', 'replaces.id': '1' })
    expect(byId.get('m')).toEqual({ 'replaces.source': '/gateway', 'replaces.id': '2' })
  })
})
