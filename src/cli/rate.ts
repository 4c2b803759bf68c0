import { isUtf8 } from 'node:buffer'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { type RatingAnswer, rateText } from '../rating/rating-json.ts'

/** A longer line is refused, so that one line cannot fill the memory. */
const lineBytesMax = 16 * 1024 * 1024
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
    if (line.kind !== 'line') await answer(unreadable(line.kind))
    else if (!isBlank(line.text)) await answer(rateText(line.text))
  }
  await writer.flush()
  if (refused === 0) return 0
  errorOutput.write(`${String(refused)} of ${String(lines)} lines were refused; their answers say why\n`)
  return 1
}

type Line =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'tooLong' }
  | { readonly kind: 'notUtf8' }

function unreadable(kind: 'tooLong' | 'notUtf8'): RatingAnswer {
  const detail =
    kind === 'tooLong'
      ? `the line has more than ${String(lineBytesMax)} bytes`
      : 'the line is not UTF-8; a character that is lost could be part of an id'
  return {
    id: null,
    error: { code: kind === 'tooLong' ? 'invalidRequest' : 'malformedJson', detail, pointer: '' },
  }
}

const NEWLINE = 0x0a
/** The mark that some programs write at the beginning of a file. */
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/** Lines as they end in `\n` or `\r\n`, and the last without. A line is held until it ends or is too long. */
async function* linesOf(input: Readable): AsyncGenerator<Line> {
  let pieces: Buffer[] = []
  let bytes = 0
  let skipping = false
  let isFirst = true
  const finish = (piece: Buffer): Line => {
    const whole = pieces.length === 0 ? piece : Buffer.concat([...pieces, piece])
    const isTooLong = skipping || whole.length > lineBytesMax
    const line = isFirst && whole.subarray(0, 3).equals(BYTE_ORDER_MARK) ? whole.subarray(3) : whole
    pieces = []
    bytes = 0
    skipping = false
    isFirst = false
    if (isTooLong) return { kind: 'tooLong' }
    return isUtf8(line) ? { kind: 'line', text: line.toString('utf8') } : { kind: 'notUtf8' }
  }
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const buffer = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    let start = 0
    for (let end = buffer.indexOf(NEWLINE); end >= 0; end = buffer.indexOf(NEWLINE, start)) {
      yield finish(buffer.subarray(start, end))
      start = end + 1
    }
    const rest = buffer.subarray(start)
    bytes += rest.length
    if (bytes > lineBytesMax) {
      skipping = true
      pieces = []
    } else if (rest.length > 0) {
      pieces.push(rest)
    }
  }
  if (bytes > 0 || skipping) yield finish(Buffer.alloc(0))
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
