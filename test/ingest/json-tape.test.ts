import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as tapes from '../../src/ingest/json-tape.ts'
import { JsonTape, NESTING_MAX, nextValue } from '../../src/ingest/json-tape.ts'

/** What the tape says, as JSON.parse would; texts and numbers by their bytes. */
function rebuild(tape: JsonTape): unknown {
  const { words, bytes } = tape
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = (at: number): string => buffer.toString('utf8', words[at + 1], words[at + 2])
  const value = (at: number): unknown => {
    switch (words[at]) {
      case tapes.OBJECT: {
        const entries: [string, unknown][] = []
        let child = at + 3
        while (words[child] !== tapes.END) {
          entries.push([value(child) as string, value(child + 3)])
          child = nextValue(words, child + 3)
        }
        return Object.fromEntries(entries)
      }
      case tapes.ARRAY: {
        const items: unknown[] = []
        for (let child = at + 3; words[child] !== tapes.END; child = nextValue(words, child))
          items.push(value(child))
        return items
      }
      case tapes.PLAIN_TEXT: {
        expect(text(at)).toMatch(/^[ -~]*$/)
        return text(at)
      }
      case tapes.WIDE_TEXT:
        return text(at)
      case tapes.ESCAPED_TEXT:
        return JSON.parse(`"${text(at)}"`)
      case tapes.PLAIN_NUMBER:
        expect(text(at)).toBe(String(Number(text(at))).includes('e') ? text(at) : String(Number(text(at))))
        return Number(text(at))
      case tapes.NUMBER:
        return Number(text(at))
      case tapes.TRUE:
        return true
      case tapes.FALSE:
        return false
      case tapes.NULL:
        return null
      default:
        throw new Error('no value begins here')
    }
  }
  return value(0)
}

function read(text: string): { readonly value: unknown } | 'fault' {
  const tape = new JsonTape()
  return tape.read(Buffer.from(text)) === null ? { value: rebuild(tape) } : 'fault'
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/**
 * JSON text with everything the grammar allows (escapes, blanks, odd numbers, empty containers, repeated keys) beside
 * the value it stands for. JSON.parse is no oracle for the value: it takes keys with escapes for other keys once it has
 * seen the object's shape before (nodejs/node#63785, found by this property).
 */
interface Document {
  readonly text: string
  readonly value: unknown
}
const blank = fc.stringMatching(/^[ \n\r\t]{0,2}$/)
const textToken: fc.Arbitrary<{ readonly text: string; readonly value: string }> = fc
  .array(
    fc.oneof(
      fc.stringMatching(/^[ !#-[\]-~]{0,12}$/).map((plain) => [plain, plain] as const),
      fc.constantFrom(
        ...([
          ['\\n', '\n'],
          ['\\"', '"'],
          ['\\\\', '\\'],
          ['\\/', '/'],
          ['\\u0041', 'A'],
          ['\\ud83d\\ude00', '😀'],
          ['ä', 'ä'],
          ['😀', '😀'],
          ['\u007f', '\u007f'],
        ] as const),
      ),
    ),
    { maxLength: 3 },
  )
  .map((parts) => ({
    text: `"${parts.map(([text]) => text).join('')}"`,
    value: parts.map(([, value]) => value).join(''),
  }))
const numberToken = fc
  .oneof(
    fc.stringMatching(/^-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?$/),
    fc.constantFrom(
      '0',
      '-0',
      '-0.0',
      '1.50',
      '999999999999999',
      '1000000000000000',
      '0.1',
      '-12.5',
      '1e400',
    ),
  )
  .map((text) => ({ text, value: Number(text) }))
const literal = fc.constantFrom<Document>(
  { text: 'true', value: true },
  { text: 'false', value: false },
  { text: 'null', value: null },
)
const { document } = fc.letrec<{ document: Document; object: Document; array: Document; scalar: Document }>(
  (tie) => ({
    document: fc.oneof({ maxDepth: 5, withCrossShrink: true }, tie('scalar'), tie('object'), tie('array')),
    scalar: fc
      .tuple(blank, fc.oneof(textToken, numberToken, literal), blank)
      .map(([a, { text, value }, b]) => ({ text: a + text + b, value })),
    object: fc
      .tuple(blank, fc.array(fc.tuple(blank, textToken, blank, tie('document')), { maxLength: 5 }), blank)
      .map(([a, members, b]) => ({
        text: `${a}{${members.map(([x, key, y, v]) => `${x}${key.text}${y}:${v.text}`).join(',') || b}}${b}`,
        value: Object.fromEntries(members.map(([, key, , v]) => [key.value, v.value])),
      })),
    array: fc.tuple(blank, fc.array(tie('document'), { maxLength: 5 })).map(([a, items]) => ({
      text: `${a}[${items.map(({ text }) => text).join(',')}${items.length === 0 ? a : ''}]${a}`,
      value: items.map(({ value }) => value),
    })),
  }),
)

describe('JsonTape', () => {
  it('reads what the text stands for', () => {
    fc.assert(
      fc.property(document, ({ text, value }) => {
        expect(isJson(text)).toBe(true)
        expect(read(text)).toEqual({ value })
      }),
      { numRuns: 3000 },
    )
  })

  it('refuses what JSON.parse refuses', () => {
    const mutated = fc
      .tuple(
        document,
        fc.nat(),
        fc.constantFrom(
          '',
          ',',
          '"',
          '\\',
          '{',
          '}',
          '[',
          ']',
          ':',
          '0',
          '-',
          '.',
          'e',
          't',
          '\n',
          '\u0001',
          ' ',
        ),
      )
      .chain(([{ text }, at, insert]) =>
        fc.nat({ max: 2 }).map((cut) => {
          const where = text.length === 0 ? 0 : at % (text.length + 1)
          // Well-formed as bytes are: half a surrogate pair does not get into UTF-8.
          return (text.slice(0, where) + insert + text.slice(where + cut)).toWellFormed()
        }),
      )
    fc.assert(
      fc.property(mutated, (text) => {
        expect(read(text) !== 'fault').toBe(isJson(text))
      }),
      { numRuns: 5000 },
    )
  })

  it.each([
    '',
    ' ',
    '{',
    '[',
    '[1',
    '[1,',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '"a',
    '"\\',
    '"\\u00',
    '-',
    '1.',
    '1e',
    '1e+',
    't',
    'tru',
    'nul',
  ])('refuses %j, wherever it ends', (text) => {
    expect(read(text)).toBe('fault')
    expect(isJson(text)).toBe(false)
  })

  it('I6: keeps keys with escapes apart, whatever was read before', () => {
    expect(read('{"h":[],"\\\\":0}')).toEqual({ value: { h: [], '\\': 0 } })
    expect(read('{"h":1,"\\"":2}')).toEqual({ value: { h: 1, '"': 2 } })
    expect(read('{"h":1,"\\n":2}')).toEqual({ value: { h: 1, '\n': 2 } })
  })

  it('says where the document ceases to be JSON', () => {
    expect(new JsonTape().read(Buffer.from('[1,,2]'))).toEqual({ at: 3, isTooDeep: false })
    expect(new JsonTape().read(Buffer.from('{"a" 1}'))).toEqual({ at: 5, isTooDeep: false })
  })

  it('stops at the nesting bound', () => {
    const nested = (depth: number): Buffer => Buffer.from('['.repeat(depth) + ']'.repeat(depth))
    expect(new JsonTape().read(nested(NESTING_MAX))).toBeNull()
    expect(new JsonTape().read(nested(NESTING_MAX + 1))).toEqual({ at: NESTING_MAX, isTooDeep: true })
    expect(new JsonTape().read(Buffer.from('['.repeat(1_000_000)))).toEqual({
      at: NESTING_MAX,
      isTooDeep: true,
    })
  })

  it('grows for large documents and gives the memory back', () => {
    const tape = new JsonTape()
    const items = Array.from({ length: 400_000 }, (_, i) => i % 10)
    expect(tape.read(Buffer.from(JSON.stringify(items)))).toBeNull()
    expect(rebuild(tape)).toEqual(items)
    expect(tape.read(Buffer.from('[]'))).toBeNull()
    expect(tape.words.length).toBeLessThan(100_000)
  })

  it.each([
    ['12', tapes.PLAIN_NUMBER],
    ['-12', tapes.PLAIN_NUMBER],
    ['0', tapes.PLAIN_NUMBER],
    ['12.5', tapes.PLAIN_NUMBER],
    ['-0.5', tapes.PLAIN_NUMBER],
    ['999999999999999', tapes.PLAIN_NUMBER],
    ['-99999999999999', tapes.PLAIN_NUMBER],
    ['-999999999999999', tapes.PLAIN_NUMBER],
    ['1000000000000000', tapes.NUMBER],
    ['12.50', tapes.NUMBER],
    ['-0', tapes.NUMBER],
    ['1e3', tapes.NUMBER],
    ['1.0', tapes.NUMBER],
  ])('%s is of kind %i', (text, kind) => {
    const tape = new JsonTape()
    expect(tape.read(Buffer.from(text))).toBeNull()
    expect(tape.words[0]).toBe(kind)
  })
})
