import { appendFileSync } from 'node:fs'
import { createTallyman } from '../../src/index.ts'
import { openSpool } from '../../src/spool/index.ts'

/**
 * A service of the kill test: `record` records until it is killed and appends each id behind `record` to a file;
 * `drain` sends what is left and ends.
 */
const [url = '', directory = '', mode = '', idsPath = ''] = process.argv.slice(2)
const spool = openSpool({ directory, segmentBytesMax: 16_384, bytesMax: 16_777_216 })
const tallyman = createTallyman({
  url,
  apiKey: 'key',
  source: '/service',
  spool,
  lingerMs: 1,
  batchEventsMax: 20,
  retryBaseMs: 1,
  retryPauseMsMax: 5,
  onFault: () => undefined,
})

if (mode === 'record') recordSome()
else {
  const { left } = await tallyman.close(60_000)
  console.log(JSON.stringify({ left, stats: tallyman.stats() }))
}

/** A few at a time, so that answers are read in between. */
function recordSome(): void {
  for (let i = 0; i < 10; i++) {
    const recorded = tallyman.record({ type: 'job', subject: 'acme', data: { units: i } })
    if (recorded.kind === 'buffered') appendFileSync(idsPath, `${recorded.id}\n`)
  }
  console.log('ten more')
  setImmediate(recordSome)
}
