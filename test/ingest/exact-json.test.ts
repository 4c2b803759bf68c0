import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ExactNumber,
  isExactObject,
  plainValue,
  readExactJson,
  writeExactJson,
} from '../../src/ingest/exact-json.ts'
import { JsonTape } from '../../src/ingest/json-tape.ts'
import { exactNumberText, plainNumberText } from '../../src/ingest/number-text.ts'

describe('readExactJson', () => {
  it('gives back what it read', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value)
        const read = readExactJson(Buffer.from(text.toWellFormed()))
        if (read.kind === 'refused') throw new Error(read.detail)
        expect(JSON.parse(writeExactJson(read.value))).toEqual(JSON.parse(text))
      }),
    )
  })

  it('keeps every digit of a number', () => {
    const text = '{"a":[12345678901234567890.10,1E2,-0]}'
    const read = readExactJson(Buffer.from(text))
    if (read.kind === 'refused' || !isExactObject(read.value)) throw new Error('not an object')
    expect(read.value.get('a')).toEqual([
      new ExactNumber('12345678901234567890.10'),
      new ExactNumber('1E2'),
      new ExactNumber('-0'),
    ])
    expect(writeExactJson(read.value)).toBe(text)
  })

  it('a key cannot become anything but a key', () => {
    const read = readExactJson(Buffer.from('{"__proto__":{"polluted":true}}'))
    if (read.kind === 'refused' || !isExactObject(read.value)) throw new Error('not an object')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    expect([...read.value.keys()]).toEqual(['__proto__'])
  })

  it.each(['{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '[{"b":{"c":1,"c":1}}]'])(
    'refuses a key twice: %s',
    (text) => {
      expect(readExactJson(Buffer.from(text))).toMatchObject({ kind: 'refused', code: 'malformedJson' })
    },
  )

  it('refuses what is not UTF-8, not JSON, too deep', () => {
    expect(readExactJson(Buffer.from([0x22, 0xff, 0x22]))).toMatchObject({ code: 'malformedJson' })
    expect(readExactJson(Buffer.from('{'))).toMatchObject({ code: 'malformedJson' })
    expect(readExactJson(Buffer.from('['.repeat(200)))).toMatchObject({ code: 'tooDeeplyNested' })
  })

  it('plainValue is what JSON.parse gives', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value)
        const tape = new JsonTape()
        expect(tape.read(Buffer.from(text))).toBeNull()
        fc.pre(!text.includes('__proto__'))
        expect(plainValue(tape, 0)).toEqual(JSON.parse(text))
      }),
    )
  })
})

describe('the text of numbers', () => {
  /** Whole and fractional digits, an exponent, and the value as digits and a scale. */
  const spelled = fc
    .tuple(
      fc.boolean(),
      fc.bigInt({ min: 0n, max: 10n ** 20n }),
      fc.stringMatching(/^[0-9]{0,18}$/),
      fc.integer({ min: -20, max: 20 }),
    )
    .map(([negative, whole, fraction, exponent]) => ({
      text: `${negative ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}${exponent === 0 ? '' : `e${exponent}`}`,
      digits: BigInt(`${negative ? '-' : ''}${whole}${fraction}`),
      scale: fraction.length - exponent,
    }))

  const valueOf = (plain: string): { readonly digits: bigint; readonly scale: number } => {
    const [whole = '', fraction = ''] = plain.split('.')
    return { digits: BigInt(whole + fraction), scale: fraction.length }
  }

  it('is the same number in plain notation, in its shortest form', () => {
    fc.assert(
      fc.property(spelled, ({ text, digits, scale }) => {
        const plain = plainNumberText(text)
        if (plain === null) return
        expect(plain).toMatch(/^(0|-?(0\.\d*[1-9]|[1-9]\d*(\.\d*[1-9])?))$/)
        const found = valueOf(plain)
        const common = Math.max(scale, found.scale)
        expect(found.digits * 10n ** BigInt(common - found.scale)).toBe(
          digits * 10n ** BigInt(common - scale),
        )
      }),
      { numRuns: 2000 },
    )
  })

  it('what is safe is what every double carries', () => {
    fc.assert(
      fc.property(spelled, ({ text }) => {
        const exact = exactNumberText(text)
        if (exact !== null) expect(plainNumberText(String(Number(text)))).toBe(exact)
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['9007199254740991', null],
    ['9007199254740992', null],
    ['9e15', '9000000000000000'],
    ['1e16', null],
    ['-1e16', null],
    ['1e-38', `0.${'0'.repeat(37)}1`],
    ['1e-39', null],
    ['1e999999999', null],
    ['0e999999999', '0'],
    [`0.${'0'.repeat(500)}`, null],
  ])('%s is %s', (text, expected) => {
    expect(exactNumberText(text)).toBe(expected)
  })
})
