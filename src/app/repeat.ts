/** Runs a task again and again, never twice at once, with a pause after each end. Stopping waits for the one that runs. */
export function repeat(
  pauseMs: number,
  task: () => Promise<unknown>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  let stopped = false
  let running: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout
  const schedule = (): void => {
    timer = setTimeout(() => {
      running = Promise.resolve()
        .then(task)
        .then(() => undefined, onError)
        .finally(() => {
          if (!stopped) schedule()
        })
    }, pauseMs)
  }
  schedule()
  return async () => {
    stopped = true
    clearTimeout(timer)
    await running
  }
}
