import type { Fault, Rejection } from './fault.ts'

export type Reporter = (rejection: Rejection) => void

/** Tells `onRejected`; without it, the first rejection of each code is written to the console: none passes unseen. */
export function reporter(onRejected: ((rejection: Rejection) => void) | undefined): Reporter {
  if (onRejected !== undefined) return (rejection) => callBack(() => onRejected(rejection))
  const seen = new Set<string>()
  return ({ id, code, detail }) => {
    if (seen.has(code)) return
    seen.add(code)
    console.error(`tallyman: event ${id ?? '(without id)'} was not taken: ${code}: ${detail}`)
  }
}

export function reportFault(onFault: ((fault: Fault) => void) | undefined): (fault: Fault) => void {
  if (onFault !== undefined) return (fault) => callBack(() => onFault(fault))
  return ({ code, detail, retryInMs }) => {
    console.error(
      `tallyman: delivery is held up: ${code}: ${detail} (next try in ${Math.ceil(retryInMs)} ms)`,
    )
  }
}

/** A callback that throws is a fault of the program and must be seen, but must not stop the events of others. */
function callBack(call: () => void): void {
  try {
    call()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
