/** What happens at which simulated time, in order; what happens at the same time happens in the order of planning. */
export function createQueue() {
  // A binary heap: [time, order, run].
  const heap: [number, number, () => void][] = []
  let count = 0
  const before = (a: number, b: number): boolean => {
    const [x, y] = [heap[a], heap[b]]
    if (x === undefined || y === undefined) return false
    return x[0] < y[0] || (x[0] === y[0] && x[1] < y[1])
  }
  const swap = (a: number, b: number): void => {
    const [x, y] = [heap[a], heap[b]]
    if (x !== undefined && y !== undefined) [heap[a], heap[b]] = [y, x]
  }
  return {
    count: () => count,
    push(at: number, run: () => void): void {
      let i = heap.push([at, count++, run]) - 1
      while (i > 0 && before(i, (i - 1) >> 1)) {
        swap(i, (i - 1) >> 1)
        i = (i - 1) >> 1
      }
    },
    runUntil(end: number, tell: (at: number) => void): number {
      for (;;) {
        const [top] = heap
        if (top === undefined || top[0] > end) return end
        const last = heap.pop()
        if (heap.length > 0 && last !== undefined) heap[0] = last
        for (let i = 0; ;) {
          const [left, right] = [2 * i + 1, 2 * i + 2]
          const least = before(right, left) ? right : left
          if (!before(least, i)) break
          swap(i, least)
          i = least
        }
        tell(top[0])
        top[2]()
      }
    },
  }
}

/** mulberry32: numbers in [0, 1) from a seed. */
export function prng(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
