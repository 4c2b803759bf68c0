import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { type RatingAnswer, rateText } from '../rating/rating-json.ts'

/** A longer line is refused, so that one line cannot fill the memory. */
const lineCharactersMax = 16 * 1024 * 1024
/** Answers are written in pieces of about this size: a write for each line costs more than rating it. */
const pieceCharacters = 64 * 1024

export interface RateStreams {
  readonly input: Readable
  readonly output: Writable
  readonly errorOutput: Writable
}

/**
 * Reads rating requests as NDJSON and writes one answer a line, in the same order, as they come. A bad line is answered
 * with its error and never stops the others; blank lines are passed over. Memory is bounded by one line and one piece of
 * output: while the output is slow, the input is not read.
 * @returns the exit code: 0, or 1 when any line was refused
 */
export async function runRate({ input, output, errorOutput }: RateStreams): Promise<number> {
  const writer = pieceWriter(output)
  let lines = 0
  let refused = 0
  const answer = async (given: RatingAnswer): Promise<void> => {
    lines += 1
    if ('error' in given) refused += 1
    await writer.write(JSON.stringify(given) + '\n')
  }
  for await (const line of linesOf(input)) {
    if (line.kind === 'tooLong') await answer(tooLong)
    else if (!isBlank(line.text)) await answer(rateText(line.text))
  }
  await writer.flush()
  if (refused === 0) return 0
  errorOutput.write(`${String(refused)} of ${String(lines)} lines were refused; their answers say why\n`)
  return 1
}

const tooLong: RatingAnswer = {
  id: null,
  error: {
    code: 'invalidRequest',
    detail: `the line has more than ${String(lineCharactersMax)} characters`,
    pointer: '',
  },
}

type Line = { readonly kind: 'line'; readonly text: string } | { readonly kind: 'tooLong' }

async function* linesOf(input: Readable): AsyncGenerator<Line> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let skipping = false
  const finish = (text: string): Line => {
    const line: Line =
      skipping || text.length > lineCharactersMax ? { kind: 'tooLong' } : { kind: 'line', text }
    skipping = false
    return line
  }
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const text = rest + (typeof chunk === 'string' ? chunk : decoder.write(chunk))
    let start = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      yield finish(text.slice(start, end))
      start = end + 1
    }
    rest = text.slice(start)
    if (rest.length > lineCharactersMax) {
      skipping = true
      rest = ''
    }
  }
  rest += decoder.end()
  if (rest !== '' || skipping) yield finish(rest)
}

function isBlank(text: string): boolean {
  return /^\s*$/.test(text)
}

function pieceWriter(output: Writable): {
  write: (text: string) => Promise<void>
  flush: () => Promise<void>
} {
  let piece = ''
  const flush = async (): Promise<void> => {
    if (piece === '') return
    const taken = output.write(piece)
    piece = ''
    if (!taken) await once(output, 'drain')
  }
  return {
    write: async (text) => {
      piece += text
      if (piece.length >= pieceCharacters) await flush()
    },
    flush,
  }
}
