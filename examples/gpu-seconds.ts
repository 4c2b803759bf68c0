// Meters GPU time in decimal seconds. A long job reports every interval instead of once at its end, so that a limit takes
// hold while it runs and a crash loses at most one interval.
// Run: TALLYMAN_URL=… TALLYMAN_API_KEY=… node examples/gpu-seconds.ts [JOB]
import { createHash } from 'node:crypto'
import process from 'node:process'
// In a service of your own: '@tallyman/client' and '@tallyman/client/exit'.
import { closeOnExit } from '../client/src/exit.ts'
import { createTallyman } from '../client/src/index.ts'

const { TALLYMAN_URL = 'http://127.0.0.1:8888', TALLYMAN_API_KEY = '' } = process.env
const job = process.argv[2] ?? `job-${Date.now()}`
const INTERVALS = 20

const tallyman = createTallyman({
  url: TALLYMAN_URL,
  apiKey: TALLYMAN_API_KEY,
  source: '/examples/gpu-seconds',
})
closeOnExit(tallyman)

/** Exact: nanoseconds are whole numbers, and seconds are their decimal text. */
function secondsText(nanoseconds: bigint): string {
  return `${nanoseconds / 1_000_000_000n}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}`
}

/** Stands for work on a GPU. */
function work(seed: string): string {
  let digest = seed
  for (let i = 0; i < 2000; i++) digest = createHash('sha256').update(digest).digest('hex')
  return digest
}

let state = job
let from = process.hrtime.bigint()
const start = from
for (let interval = 0; interval < INTERVALS; interval++) {
  state = work(state)
  const to = process.hrtime.bigint()
  tallyman.record({
    type: 'gpu.used',
    subject: 'acme',
    // Intervals of a job are numbered: one that is reported again counts once.
    id: `${job}/${interval}`,
    data: { seconds: secondsText(to - from), gpu: 'h100', job },
  })
  from = to // the next interval begins where this one ends: none is lost between them, none counted twice
}
const { left } = await tallyman.close(60_000)
console.log(JSON.stringify({ job, seconds: secondsText(from - start), left }))
process.exitCode = left === 0 ? 0 : 1
