// Passes streamed answers of an OpenAI-compatible model on, and meters their tokens by the usage that the model itself
// reports at the end of the stream.
// Run: UPSTREAM=http://127.0.0.1:11434 TALLYMAN_URL=… TALLYMAN_API_KEY=… node examples/llm-proxy.ts
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { json } from 'node:stream/consumers'
// In a service of your own: '@tallyman/client'.
import { createTallyman } from '../client/src/index.ts'

const { TALLYMAN_URL = 'http://127.0.0.1:8888', TALLYMAN_API_KEY = '', UPSTREAM = '' } = process.env
const tallyman = createTallyman({
  url: TALLYMAN_URL,
  apiKey: TALLYMAN_API_KEY,
  source: '/examples/llm-proxy',
})

interface Chunk {
  readonly id: string
  readonly model: string
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null
}

async function stream(question: object, subject: string, write: (line: string) => void): Promise<void> {
  const body = JSON.stringify({ ...question, stream: true, stream_options: { include_usage: true } })
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${UPSTREAM}/v1/chat/completions`, { method: 'POST', headers, body })
  if (!answer.ok || answer.body === null) throw new Error(`the model answered ${answer.status}`)
  for await (const line of createInterface({ input: Readable.fromWeb(answer.body) })) {
    write(`${line}\n`) // a caller who has gone misses it; the stream is read to its end, for it has been paid for
    if (!line.startsWith('data: {')) continue
    const { id, model, usage } = JSON.parse(line.slice(6)) as Chunk
    if (!usage) continue
    const data = { model, inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens }
    tallyman.record({ type: 'llm.request', subject, id, data })
  }
}

const proxy = createServer((request, response) => {
  const subject = request.headers['x-customer']?.toString() ?? 'anonymous'
  json(request)
    .then((question) => stream(question as object, subject, (line) => response.write(line)))
    .then(() => response.end())
    .catch((error: unknown) => {
      console.error(error)
      response.destroy()
    })
})
proxy.listen(0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(proxy.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => {
  proxy.close(
    () => void tallyman.close(20_000).then(({ left }) => console.log(`closed, ${left} events left`)),
  )
  proxy.closeIdleConnections()
})
