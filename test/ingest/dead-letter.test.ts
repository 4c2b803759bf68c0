import { describe, expect, it } from 'vitest'
import type { TenantId } from '../../src/id/ids.ts'
import { type DeadLetter, DEAD_LETTER_LIMITS } from '../../src/ingest/dead-letter.ts'
import {
  createDeadLetterBuffer,
  type DeadLetterBuffer,
  type DeadLetterBufferOptions,
} from '../../src/ingest/dead-letter-buffer.ts'
import { eventually } from '../support/eventually.ts'
import { aCloudEvent, aStage, NOW, TENANT } from '../support/ingest.ts'

interface Kept {
  readonly batches: (readonly DeadLetter[])[]
  readonly faults: unknown[]
  dropped: number
  readonly buffer: DeadLetterBuffer
}

/** A buffer over a store that fails for the first `failures` writes. */
function aBuffer(limits: DeadLetterBufferOptions['limits'] = {}, failures = 0): Kept {
  let left = failures
  const kept: Kept = {
    batches: [],
    faults: [],
    dropped: 0,
    buffer: createDeadLetterBuffer({
      store: {
        keep: async (batch) => {
          if (left-- > 0) throw new Error('no database')
          kept.batches.push(batch)
        },
      },
      metrics: {
        kept: () => undefined,
        dropped: (letters) => void (kept.dropped += letters),
        observeBuffer: () => undefined,
      },
      onFault: (error) => void kept.faults.push(error),
      limits: { pauseMs: 1, ...limits },
    }),
  }
  return kept
}

const sent = async (kept: Kept, text: string, atomic = false) => {
  const stage = aStage({}, undefined, kept.buffer)
  const answer = await stage.sendText(text, { atomic })
  await kept.buffer.stop()
  return answer
}
const letters = ({ batches }: Kept) => batches.flat()
const bodies = (kept: Kept) => letters(kept).map(({ body }) => Buffer.from(body).toString('utf8'))

describe('rejected events', () => {
  it('are kept as they were sent, with the reason; good ones are not', async () => {
    const kept = aBuffer()
    const spelled = '{ "specversion":"1.0", "id":"a", "source":"/x", "type":"t", "data":{"n":1.50} }'
    const good = JSON.stringify(aCloudEvent())
    await sent(kept, `[${good}, ${spelled} , 7, "x", [1,{"a":[]}], true]`)
    expect(bodies(kept)).toEqual([spelled, '7', '"x"', '[1,{"a":[]}]', 'true'])
    expect(letters(kept)[0]).toMatchObject({
      tenant: TENANT,
      reason: { code: 'missingSubject' },
      named: { id: 'a', source: '/x', type: 't', subject: null },
      times: 1,
      arrivedAt: NOW,
    })
  })

  it('of a batch that is all or none are kept, too', async () => {
    const kept = aBuffer()
    const answer = await sent(kept, JSON.stringify([aCloudEvent(), aCloudEvent({ subject: '' })]), true)
    expect(answer).toMatchObject({ kind: 'refused', code: 'batchRejected' })
    expect(letters(kept)).toMatchObject([{ reason: { code: 'missingSubject' } }])
  })

  it('that are equal are one letter with a count, each tenant its own', async () => {
    const kept = aBuffer()
    const stage = aStage({}, undefined, kept.buffer)
    const bad = [aCloudEvent({ subject: '' })]
    for (let i = 0; i < 3; i++) await stage.send(bad)
    await stage.send(bad, { tenant: 'ten_2' as TenantId })
    await kept.buffer.stop()
    expect(letters(kept).map(({ tenant, times }) => [tenant, times])).toEqual([
      [TENANT, 3],
      ['ten_2', 1],
    ])
    expect(new Set(letters(kept).map(({ id }) => id)).size).toBe(2)
  })

  it('are kept without API keys', async () => {
    const kept = aBuffer()
    const key = `tm_live_${'aB3'.repeat(12)}xy`
    await sent(kept, JSON.stringify([aCloudEvent({ subject: key, source: 'two words', data: { é: key } })]))
    expect(bodies(kept)[0]).toContain(`"é":"tm_live_${'*'.repeat(38)}"`)
    expect(JSON.stringify([letters(kept)[0]?.named, bodies(kept)])).not.toContain(key)
  })

  it('that are very long are cut', async () => {
    const kept = aBuffer()
    const long = aCloudEvent({ subject: '', data: { x: 'x'.repeat(DEAD_LETTER_LIMITS.bodyBytesMax) } })
    await sent(kept, JSON.stringify([long]))
    expect(letters(kept)).toMatchObject([{ isCut: true }])
    expect(letters(kept)[0]?.body.length).toBe(DEAD_LETTER_LIMITS.cutBodyBytes)
  })

  it('of a flood are dropped and counted, and the answer is the same', async () => {
    const kept = aBuffer({ bufferLettersMax: 10, batchLettersMax: 4 })
    const flood = Array.from({ length: 1000 }, (_, i) => aCloudEvent({ id: `e${i}`, subject: '' }))
    const answer = await sent(kept, JSON.stringify(flood))
    expect(answer).toMatchObject({ accepted: 0 })
    expect(answer.kind === 'accepted' ? answer.rejected : []).toHaveLength(1000)
    expect(kept.batches.map((batch) => batch.length)).toEqual([4, 4, 2])
    expect(kept.dropped).toBe(990)
  })

  it('wait for a store that fails, and are dropped and counted when the process ends before it mends', async () => {
    const mended = aBuffer({}, 1)
    await aStage({}, undefined, mended.buffer).send([aCloudEvent({ subject: '' })])
    await eventually(
      () => mended.faults.length,
      (faults) => faults === 1,
    )
    await mended.buffer.stop()
    expect(letters(mended)).toHaveLength(1)
    const broken = aBuffer({}, Infinity)
    await aStage({}, undefined, broken.buffer).send([aCloudEvent({ subject: '' })])
    await broken.buffer.stop()
    expect([letters(broken).length, broken.dropped]).toEqual([0, 1])
  })
})
