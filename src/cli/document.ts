import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import { CliFailure, fileFailure } from './failure.ts'

/** Members that the API takes as JSON numbers. Every other number in a file is an exact decimal and goes out as text. */
const WHOLE_NUMBERS = new Set([
  'anchorDay',
  'requestsPerSecond',
  'burst',
  'ttlSeconds',
  'freeEvents',
  'digits',
])

/** A document and where its members stand, for messages that lead to them. */
export interface LocatedDocument {
  readonly value: Readonly<Record<string, unknown>>
  /** `line 3, column 5` of the member, or of the nearest one around it that is there; empty for the document. */
  readonly placeOf: (...path: readonly string[]) => string
}

/**
 * Reads a YAML or JSON document; `-` is stdin. Numbers keep the digits that were written (`0.0000025` becomes the
 * text "0.0000025"): amounts must not pass through a binary fraction. @throws CliFailure
 */
export async function readDocument(
  path: string,
  stdin: Readable,
): Promise<Readonly<Record<string, unknown>>> {
  return (await readLocatedDocument(path, stdin)).value
}

/** As `readDocument`, with the places of members. @throws CliFailure */
export async function readLocatedDocument(path: string, stdin: Readable): Promise<LocatedDocument> {
  const text = path === '-' ? await readAll(stdin) : readText(path)
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { prettyErrors: true, lineCounter })
  const [error] = document.errors
  if (error !== undefined) {
    throw new CliFailure(`${nameOf(path)} is neither YAML nor JSON.`, {
      details: error.message.trimEnd().split('\n'),
    })
  }
  keepDigits(document)
  const value: unknown = document.toJS()
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CliFailure(`${nameOf(path)} must hold one object with named members.`)
  }
  const members = value as Readonly<Record<string, unknown>>
  return { value: members, placeOf: (...names) => placeIn(document, lineCounter, names) }
}

function placeIn(document: Document, lineCounter: LineCounter, names: readonly string[]): string {
  let node: unknown = document.contents
  let start: number | undefined
  for (const name of names) {
    if (!isMap(node)) break
    const pair = node.items.find((one) => isPair(one) && isScalar(one.key) && one.key.value === name)
    if (pair === undefined) break
    start = isNode(pair.key) ? pair.key.range?.[0] : start
    node = pair.value
  }
  if (start === undefined) return ''
  const { line, col } = lineCounter.linePos(start)
  return `line ${line}, column ${col}`
}

function keepDigits(document: Document): void {
  visit(document, {
    Pair: (_, pair) => {
      const name = isScalar(pair.key) ? String(pair.key.value) : ''
      const { value } = pair
      if (isScalar(value) && isNumber(value.value) && !WHOLE_NUMBERS.has(name))
        value.value = value.source ?? ''
    },
    Seq: (_, seq) => {
      for (const item of seq.items) {
        if (isScalar(item) && isNumber(item.value)) item.value = item.source ?? ''
      }
    },
  })
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'bigint'
}

function nameOf(path: string): string {
  return path === '-' ? 'The input' : path
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw fileFailure(path, error)
  }
}

async function readAll(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream as AsyncIterable<Buffer | string>) {
    chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
