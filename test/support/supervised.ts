import type { Fleet, FleetRole } from './fleet.ts'
import type { ServerProcess } from './server.ts'

/** A role that is started again whenever it ends, as a supervisor does. */
export interface Supervised {
  readonly name: string
  /** The process that runs now, or ran last. */
  readonly current: () => ServerProcess
  /** Starts that were needed because the process ended by itself or could not start. */
  readonly endings: readonly string[]
  /** Resolves when the next process after the killed one is ready. */
  killAndAwaitNext(): Promise<void>
  /** No more starts; what runs goes on. */
  release(): void
}

const STARTS_FAILED_MAX = 10

/** Starts the role and keeps it running. @throws when the first start fails */
export async function supervise(fleet: Fleet, role: FleetRole, name: string): Promise<Supervised> {
  let current = await fleet.start(role, name)
  let isReleased = false
  let isKilled = false
  let next = Promise.withResolvers<undefined>()
  const endings: string[] = []

  const startAgain = async (): Promise<ServerProcess> => {
    let failed = 0
    for (;;) {
      try {
        return await fleet.start(role, name)
      } catch (error) {
        endings.push(`${name} did not start: ${String(error).slice(-2000)}`)
        if (isReleased || ++failed > STARTS_FAILED_MAX) throw new Error(endings.join('\n'), { cause: error })
      }
    }
  }
  const follow = async (): Promise<void> => {
    for (;;) {
      const code = await current.exited
      if (isReleased) return
      if (!isKilled) endings.push(`${name} ended with ${String(code)}: ${current.errors().slice(-2000)}`)
      isKilled = false
      current = await startAgain()
      next.resolve(undefined)
      next = Promise.withResolvers<undefined>()
    }
  }
  void follow().catch((error: unknown) => {
    next.reject(error)
    next.promise.catch(() => undefined) // where nobody waits, the next kill is told
  })
  return {
    name,
    current: () => current,
    endings,
    async killAndAwaitNext() {
      isKilled = true
      const { promise } = next
      await current.kill9()
      await promise
    },
    release() {
      isReleased = true
    },
  }
}
