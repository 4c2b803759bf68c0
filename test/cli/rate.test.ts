import { PassThrough, Readable, Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { runRate } from '../../src/cli/rate.ts'

interface Answer {
  readonly id: string | number | null
  readonly amount?: string
  readonly error?: { readonly code: string; readonly pointer: string; readonly detail: string }
}

interface Run {
  readonly exitCode: number
  readonly answers: readonly Answer[]
  readonly errorText: string
}

function collector(): { readonly stream: Writable; readonly text: () => string } {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  return { stream, text: () => text }
}

async function rateChunks(...chunks: readonly (string | Buffer)[]): Promise<Run> {
  const output = collector()
  const errors = collector()
  const exitCode = await runRate({
    input: Readable.from(chunks.map((chunk) => Buffer.from(chunk))),
    output: output.stream,
    errorOutput: errors.stream,
  })
  const answers = output
    .text()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Answer)
  return { exitCode, answers, errorText: errors.text() }
}

function request(id: string | number, parts: object = {}): string {
  return JSON.stringify({
    id,
    currency: 'USD',
    quantity: '10',
    price: { model: 'unit', unitAmount: '0.5' },
    ...parts,
  })
}

const amounts = ({ answers }: Run): unknown[] =>
  answers.map(({ id, amount, error }) => [id, amount ?? error?.code])

describe('tallyman rate', () => {
  it('answers one line a request, in the same order, with the id as it came', async () => {
    const run = await rateChunks(`${request('a')}\n${request(7, { quantity: '3' })}\n`)
    expect(amounts(run)).toEqual([
      ['a', '5.00'],
      [7, '1.50'],
    ])
    expect(run.exitCode).toBe(0)
    expect(run.errorText).toBe('')
  })

  it('goes on after a bad line, and ends with 1 and a count', async () => {
    const run = await rateChunks(
      [
        request('a'),
        '{"id":"broken",',
        request('b', { price: { model: 'auction' } }),
        '[]',
        request('c', { quantity: '-1' }),
        request('d'),
      ].join('\n'),
    )
    expect(amounts(run)).toEqual([
      ['a', '5.00'],
      [null, 'malformedJson'],
      ['b', 'unknownModel'],
      [null, 'invalidRequest'],
      ['c', 'negativeDecimal'],
      ['d', '5.00'],
    ])
    expect(run.exitCode).toBe(1)
    expect(run.errorText).toContain('4 of 6 lines were refused')
  })

  it('reads lines however they are cut, with CRLF, blank lines and a byte order mark, and a last one without an end', async () => {
    const bytes = Buffer.from(`\uFEFF${request('ä€😀')}\r\n\r\n  \n${request('b')}`)
    for (const size of [1, 2, 3, 7, 4096]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      )
      const run = await rateChunks(...chunks)
      expect(amounts(run)).toEqual([
        ['ä€😀', '5.00'],
        ['b', '5.00'],
      ])
      expect(run.exitCode).toBe(0)
    }
  })

  it('refuses a line that is not UTF-8: a lost character could be part of an id', async () => {
    const broken = Buffer.concat([
      Buffer.from('{"id":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from(request('x').slice('{"id":"x'.length)),
    ])
    const run = await rateChunks(broken, '\n', request('b'))
    expect(amounts(run)).toEqual([
      [null, 'malformedJson'],
      ['b', '5.00'],
    ])
    expect(run.answers[0]?.error?.detail).toContain('UTF-8')
  })

  it('refuses a line beyond 16 MiB without holding it, and rates the next', async () => {
    const piece = Buffer.alloc(1024 * 1024, 0x20)
    const run = await rateChunks('{', ...Array.from({ length: 20 }, () => piece), `}\n${request('b')}\n`)
    expect(amounts(run)).toEqual([
      [null, 'invalidRequest'],
      ['b', '5.00'],
    ])
    expect(run.answers[0]?.error?.detail).toContain('16777216 bytes')
  })

  it('takes a whole number of JSON that kept its digits, and no other', async () => {
    const run = await rateChunks(
      [
        request('whole', { quantity: 3 }),
        request('fraction', { quantity: 0.5 }),
        '{"id":"large","currency":"USD","quantity":9007199254740993,"price":{"model":"unit","unitAmount":"1"}}',
        request('flag', { quantity: true }),
        request('null', { quantity: null }),
      ].join('\n'),
    )
    expect(amounts(run)).toEqual([
      ['whole', '1.50'],
      ['fraction', 'malformedDecimal'],
      ['large', 'malformedDecimal'],
      ['flag', 'malformedDecimal'],
      ['null', 'invalidRequest'],
    ])
    expect(run.answers[1]?.error).toMatchObject({ pointer: '/quantity' })
  })

  it('says of nothing that nothing was refused', async () => {
    expect(await rateChunks()).toEqual({ exitCode: 0, answers: [], errorText: '' })
  })

  it('waits for a slow reader instead of filling the memory', async () => {
    const output = new PassThrough({ highWaterMark: 1024 })
    let read = 0
    const input = Readable.from(
      (function* () {
        for (let i = 0; i < 20_000; i++) {
          read += 1
          yield Buffer.from(request(i) + '\n')
        }
      })(),
      { highWaterMark: 16 },
    )
    const done = runRate({ input, output, errorOutput: new PassThrough() })
    // A piece of answers is written and nobody reads: the input must come to a stop by itself.
    let last = -1
    while (last !== read) {
      last = read
      for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(read).toBeLessThan(2_000)
    let lines = 0
    for await (const chunk of outputEndedBy(done, output)) lines += chunk.toString().split('\n').length - 1
    expect(lines).toBe(20_000)
    expect(await done).toBe(0)
  })
})

async function* outputEndedBy(done: Promise<unknown>, output: PassThrough): AsyncGenerator<Buffer> {
  void done.then(() => output.end())
  for await (const chunk of output as AsyncIterable<Buffer>) yield chunk
}
