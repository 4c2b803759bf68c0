import { closeOnExit } from '../../src/exit.ts'
import { createTallyman } from '../../src/index.ts'

/** Records one event and ends by itself (`idle`), or stays up until a signal comes (`serve`). */
const [url = '', mode = ''] = process.argv.slice(2)
const tallyman = createTallyman({ url, apiKey: 'key', source: '/service', lingerMs: 60_000 })
closeOnExit(tallyman, { onClosed: (left) => console.log(`closed, ${left} left`) })
tallyman.record({ type: 'job', subject: 'acme', id: 'last' })
if (mode === 'serve') {
  setInterval(() => undefined, 60_000)
  console.log('ready')
} else console.log((await tallyman.flush()).left)
