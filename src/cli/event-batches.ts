import { z } from 'zod'
import { type ApiClient, readShape } from './api-client.ts'

/** One event of a batch as JSON text of a CloudEvent. Text, so that exact numbers stay as they were written. */
export type EventText = string

const EVENTS_PATH = '/v1/events'

const answerShape = z.object({
  accepted: z.number(),
  duplicates: z.number(),
  rejected: z.array(
    z.object({
      index: z.number(),
      id: z.string().nullish(),
      code: z.string(),
      detail: z.string(),
    }),
  ),
})
export type BatchAnswer = z.infer<typeof answerShape>

/**
 * Sends one batch and resolves when the log has every accepted event durably. Safe to repeat: the server counts an
 * identity (source and id) once. @throws ApiProblem when the whole batch is refused
 */
export async function sendBatch(
  api: ApiClient,
  events: readonly EventText[],
  path: string = EVENTS_PATH,
): Promise<BatchAnswer> {
  const answer = await api.json('POST', path, undefined, {
    rawBody: `[${events.join(',')}]`,
    contentType: 'application/cloudevents-batch+json',
    repeatable: true,
  })
  return readShape(answerShape, answer, path)
}

/** Lets at most `inFlightMax` tasks run at once; a failed one fails the next call. */
export interface Lane {
  /** Resolves when the task has been started, that is when there was room for it. */
  start(task: () => Promise<void>): Promise<void>
  /** Resolves when every task has ended. Rejects with the first failure. */
  drain(): Promise<void>
  /** Resolves when every task has ended, however. */
  settle(): Promise<void>
}

export function createLane(inFlightMax: number): Lane {
  const running = new Set<Promise<void>>()
  const state: { failure: { readonly error: unknown } | null } = { failure: null }
  const throwFailure = (): void => {
    if (state.failure !== null) throw state.failure.error
  }
  return {
    start: async (task) => {
      throwFailure()
      while (running.size >= inFlightMax) await Promise.race(running)
      throwFailure()
      const settled: Promise<void> = task()
        .catch((error: unknown) => {
          state.failure ??= { error }
        })
        .finally(() => running.delete(settled))
      running.add(settled)
    },
    drain: async () => {
      await Promise.all(running)
      throwFailure()
    },
    settle: async () => {
      await Promise.all(running)
    },
  }
}
