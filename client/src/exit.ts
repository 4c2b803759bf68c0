import process from 'node:process'
import type { Tallyman } from './client.ts'

export interface ExitOptions {
  /** How long to wait for acknowledgements: 10 s. Stay below what the supervisor grants (Kubernetes: 30 s). */
  readonly limitMs?: number
  /** Told how many events were left, before the process ends. */
  readonly onClosed?: (left: number) => void
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * Closes the client on SIGTERM and SIGINT, then lets the signal end the process; and closes it when the process has
 * nothing else to do. For programs without a shutdown of their own: those call `close()` at its end instead, after the
 * last request that records. Returns a function that takes the hook away.
 */
export function closeOnExit(tallyman: Pick<Tallyman, 'close'>, options: ExitOptions = {}): () => void {
  const { limitMs = 10_000, onClosed } = options
  async function close(): Promise<void> {
    const { left } = await tallyman.close(limitMs)
    onClosed?.(left)
  }
  function onSignal(signal: NodeJS.Signals): void {
    remove()
    void close().finally(() => process.kill(process.pid, signal))
  }
  function onIdle(): void {
    remove()
    void close()
  }
  function remove(): void {
    for (const signal of SIGNALS) process.off(signal, onSignal)
    process.off('beforeExit', onIdle)
  }
  for (const signal of SIGNALS) process.once(signal, onSignal)
  process.once('beforeExit', onIdle)
  return remove
}
