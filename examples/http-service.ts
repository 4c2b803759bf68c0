// Counts the requests of an HTTP service: one event per request, for the customer whose key it came with.
// Run: TALLYMAN_URL=http://127.0.0.1:8888 TALLYMAN_API_KEY=tm_live_… node examples/http-service.ts
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
// In a service of your own: '@tallyman/client' and '@tallyman/client/spool'.
import { createTallyman } from '../client/src/index.ts'
import { openSpool } from '../client/src/spool/index.ts'

const { TALLYMAN_URL = 'http://127.0.0.1:8888', TALLYMAN_API_KEY = '', SPOOL, PORT = '0' } = process.env

const tallyman = createTallyman({
  url: TALLYMAN_URL,
  apiKey: TALLYMAN_API_KEY,
  source: '/examples/http-service',
  // With a spool, not even a crash of this process loses an event. One directory per process.
  ...(SPOOL === undefined ? {} : { spool: openSpool({ directory: SPOOL }) }),
})

const service = createServer((request, response) => {
  const status = request.url === '/missing' ? 404 : 200
  // Before the answer goes out, so that nothing is answered and not counted. It neither waits nor throws: the answer is
  // as fast as without metering, whether Tallyman can be reached or not.
  tallyman.record({
    type: 'http.request',
    subject: request.headers['x-customer']?.toString() ?? 'anonymous',
    data: { route: request.url?.split('?')[0] ?? '', status: String(status) },
  })
  response.writeHead(status).end('hello\n')
})
service.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(service.address() as AddressInfo).port}`)
})

// A service with a shutdown of its own closes the client at its end, after the last request.
process.once('SIGTERM', () => {
  service.close(() => {
    void tallyman.close(20_000).then(({ left }) => {
      console.log(`closed, ${left} events left`)
      process.exitCode = left === 0 ? 0 : 1
    })
  })
  service.closeIdleConnections()
})
