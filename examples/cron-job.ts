// Meters what each customer stores, once a day. The id says what is measured, not when the job ran: a job that is
// repeated, by hand or after a crash, adds nothing.
// Run: TALLYMAN_URL=… TALLYMAN_API_KEY=… node examples/cron-job.ts [DAY]
import process from 'node:process'
// In a service of your own: '@tallyman/client'.
import { createTallyman } from '../client/src/index.ts'

const { TALLYMAN_URL = 'http://127.0.0.1:8888', TALLYMAN_API_KEY = '' } = process.env
const day = process.argv[2] ?? new Date().toISOString().slice(0, 10)

const tallyman = createTallyman({
  url: TALLYMAN_URL,
  apiKey: TALLYMAN_API_KEY,
  source: '/examples/cron-job',
})

/** What your database would answer; whole bytes may exceed 2^53, so they are bigints. */
async function measure(): Promise<ReadonlyMap<string, bigint>> {
  return new Map([
    ['acme', 9_007_199_254_740_993n],
    ['globex', 512_000_000_000n],
    ['initech', 0n],
  ])
}

const sent = [...(await measure())].map(([customer, bytes]) =>
  // Resolves when the server has the event durably: the job is done when all are.
  tallyman.recordDurably({
    type: 'storage.measured',
    subject: customer,
    id: `storage/${day}/${customer}`,
    time: `${day}T00:00:00Z`,
    data: { bytes },
  }),
)
// What is not acknowledged within a minute is sent by the next run, with the same ids.
const [results] = await Promise.all([Promise.allSettled(sent), tallyman.close(60_000)])
const failed = results.filter(({ status }) => status === 'rejected')
console.log(`${results.length - failed.length} of ${results.length} measured for ${day}`)
for (const { reason } of failed as readonly PromiseRejectedResult[]) console.error(String(reason))
process.exitCode = failed.length === 0 ? 0 : 1
