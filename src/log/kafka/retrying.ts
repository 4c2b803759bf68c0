import { setTimeout as pause } from 'node:timers/promises'
import { LogError } from '../../usage/event-log.ts'
import { KafkaFault } from './kafka-fault.ts'

const PAUSE_MS_FIRST = 20
const PAUSE_MS_MAX = 500

/**
 * Asks a question again while it fails for a reason that may pass. Only for what may be asked twice.
 * @throws LogError `unavailable` when there was no answer in time, retryable; other errors as they come
 */
export async function askAgain<T>(what: string, askMsMax: number, ask: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + askMsMax
  for (let pauseMs = PAUSE_MS_FIRST; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof KafkaFault)) throw error
      if (!error.isPassing || performance.now() + pauseMs > deadlineMs) {
        throw new LogError('unavailable', `Kafka: ${what} failed: ${error.message}`, {
          retryable: error.isPassing,
          cause: error,
        })
      }
      await pause(pauseMs)
    }
  }
}
