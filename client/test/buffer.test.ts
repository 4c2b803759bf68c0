import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchBody, readiness } from '../src/batch.ts'
import { Buffer as EventBuffer, type Entry } from '../src/buffer.ts'

function anEntry(number: number, bytes: number, isAwaited = false): Entry {
  const event = { id: String(number), body: new Uint8Array(bytes).fill(0x30 + (number % 10)) }
  return { event, number, spoolNumber: null, bufferedAtMs: 0, isAwaited }
}

type Step =
  | { readonly kind: 'push'; readonly bytes: number; readonly isAwaited: boolean }
  | { readonly kind: 'take' }
  | { readonly kind: 'settle' }
  | { readonly kind: 'drop' }

describe('Buffer', () => {
  it('keeps order, bounds and counts, whatever happens to it', () => {
    const limits = { bufferEventsMax: 20, bufferBytesMax: 600 }
    const batch = { batchEventsMax: 4, batchBytesMax: 150 }
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant('push' as const),
          bytes: fc.integer({ min: 1, max: 200 }),
          isAwaited: fc.boolean(),
        }),
      },
      fc.constant<Step>({ kind: 'take' }),
      fc.constant<Step>({ kind: 'settle' }),
      fc.constant<Step>({ kind: 'drop' }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const buffer = new EventBuffer(limits)
        let waiting: Entry[] = []
        const taken: (readonly Entry[])[] = []
        let last = 0
        for (const one of steps) {
          switch (one.kind) {
            case 'push': {
              const entry = anEntry(++last, one.bytes, one.isAwaited)
              const held = [...waiting, ...taken.flat()]
              const bytes = held.reduce((sum, { event }) => sum + event.body.length, 0)
              expect(buffer.hasRoom(one.bytes)).toBe(held.length < 20 && bytes + one.bytes <= 600)
              if (!buffer.hasRoom(one.bytes)) break
              buffer.push(entry)
              waiting.push(entry)
              break
            }
            case 'take': {
              const entries = buffer.take(batch)
              expect(entries).toEqual(waiting.slice(0, entries.length))
              expect(entries.length).toBeGreaterThanOrEqual(Math.min(1, waiting.length))
              expect(entries.length).toBeLessThanOrEqual(4)
              if (entries.length > 1) expect(batchBody(entries).length).toBeLessThanOrEqual(150)
              waiting = waiting.slice(entries.length)
              if (entries.length > 0) taken.push(entries)
              break
            }
            case 'settle':
              buffer.settle(taken.shift() ?? [])
              break
            case 'drop': {
              const victim = waiting.find(({ isAwaited }) => !isAwaited) ?? null
              expect(buffer.dropOldest()).toBe(victim)
              waiting = waiting.filter((entry) => entry !== victim)
            }
          }
          const held = [...waiting, ...taken.flat()]
          expect(buffer.events).toBe(held.length)
          expect(buffer.bytes).toBe(held.reduce((sum, { event }) => sum + event.body.length, 0))
          expect(buffer.waitingEvents).toBe(waiting.length)
          expect(buffer.waitingBytes).toBe(waiting.reduce((sum, { event }) => sum + event.body.length, 0))
          expect(buffer.oldest).toBe(waiting[0] ?? null)
        }
      }),
    )
  })
})

describe('batches', () => {
  const limits = { batchEventsMax: 10, batchBytesMax: 1000, lingerMs: 200 }

  it('are ready when full or when their oldest event has lingered', () => {
    expect(readiness({ events: 0, bytes: 0, oldestAtMs: null }, limits, 0)).toEqual({ kind: 'empty' })
    expect(readiness({ events: 9, bytes: 999, oldestAtMs: 100 }, limits, 299)).toEqual({
      kind: 'later',
      atMs: 300,
    })
    expect(readiness({ events: 9, bytes: 999, oldestAtMs: 100 }, limits, 300)).toEqual({ kind: 'ready' })
    expect(readiness({ events: 10, bytes: 1, oldestAtMs: 100 }, limits, 100)).toEqual({ kind: 'ready' })
    expect(readiness({ events: 1, bytes: 1000, oldestAtMs: 100 }, limits, 100)).toEqual({ kind: 'ready' })
  })

  it('are JSON arrays of the events as they are', () => {
    const text = (entries: readonly Entry[]): string => new TextDecoder().decode(batchBody(entries))
    expect(text([])).toBe('[]')
    expect(text([anEntry(1, 2)])).toBe('[11]')
    expect(text([anEntry(1, 2), anEntry(2, 1), anEntry(3, 3)])).toBe('[11,2,333]')
  })
})
