import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compilePattern, PATTERN_LIMITS } from '../../src/ingest/pattern.ts'
import { PatternError } from '../../src/ingest/pattern-parse.ts'

const TEXTS = [
  '',
  'a',
  'b',
  'ab',
  'aab',
  'abc',
  'A',
  '7',
  'a7',
  ' ',
  '\n',
  'é',
  '😀',
  'a-b',
  'x_y',
  '\ud83d',
  'a\nb',
]

/** Patterns as text, put together from parts that both engines have. */
type Parts = Readonly<Record<'atom' | 'quantified' | 'sequence' | 'choice', string>>
const part = fc.letrec<Parts>((tie) => ({
  atom: fc.oneof(
    fc.constantFrom(
      'a',
      'b',
      '7',
      '.',
      '\\d',
      '\\w',
      '\\W',
      '\\s',
      '[ab]',
      '[^a]',
      '[a-c_-]',
      '\\-'.slice(1),
      '😀',
    ),
    fc.constantFrom('\\u0061', '\\u{1F600}', '\\ud83d\\ude00', '[\\d-]', '\\.', '^', '$'),
    tie('choice').map((inner) => `(${inner})`),
    tie('choice').map((inner) => `(?:${inner})`),
  ),
  quantified: fc
    .tuple(tie('atom'), fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,3}', '{0,}', '*?'))
    .map(([atom, times]) => (atom === '^' || atom === '$' ? atom : `${atom}${times}`)),
  sequence: fc.array(tie('quantified'), { maxLength: 3 }).map((parts) => parts.join('')),
  choice: fc.array(tie('sequence'), { minLength: 1, maxLength: 2 }).map((options) => options.join('|')),
})).choice

describe('patterns of event schemas', () => {
  it('say the same as the engine of the language', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', 'c', '7', '-', '_', ' ', '\n', '😀', 'é'),
      maxLength: 8,
    })
    fc.assert(
      fc.property(part, fc.array(text, { maxLength: 8 }), (pattern, texts) => {
        let ours
        try {
          ours = compilePattern(pattern)
        } catch (error) {
          expect(error).toBeInstanceOf(PatternError)
          fc.pre(false)
          return
        }
        const theirs = new RegExp(pattern, 'u')
        for (const one of [...TEXTS, ...texts]) {
          expect(ours.test(one), `${pattern} on ${JSON.stringify(one)}`).toBe(theirs.test(one))
        }
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    ['^[a-z0-9]+(-[a-z0-9]+)*$', 'eu-west-1', 'eu--west'],
    ['^[^@\\s]+@[^@\\s]+\\.[a-z]{2,}$', 'a.b@example.com', 'a b@example.com'],
    ['^\\d{4}-\\d{2}-\\d{2}$', '2026-03-01', '2026-3-1'],
    ['^(gpt|claude)-.{1,60}$', 'claude-x', 'other-x'],
    ['error', 'an error here', 'fine'],
    ['^-?(0|[1-9]\\d*)(\\.\\d+)?$', '-12.50', '012'],
  ])('%s', (pattern, good, bad) => {
    const compiled = compilePattern(pattern)
    expect([compiled.test(good), compiled.test(bad)]).toEqual([true, false])
    expect(String(compiled)).toBe(pattern)
  })

  it.each(['(a*)*b', '^(a+)+$', '(a|aa)+$', '^(.*a){10}$', '.*.*.*x', '(x+x+)+y'])(
    'the time of %s is bounded by the text',
    (pattern) => {
      let compiled
      try {
        compiled = compilePattern(pattern)
      } catch (error) {
        expect(error).toBeInstanceOf(PatternError)
        return
      }
      const text = `${'a'.repeat(65_535)}!`
      const started = performance.now()
      compiled.test(text)
      // The engine of the language needs more than a lifetime for some of these.
      expect(performance.now() - started).toBeLessThan(500)
    },
  )

  it.each([
    ['(', 'Invalid regular expression'],
    ['(?=a)', 'of groups'],
    ['(?<name>a)', 'of groups'],
    ['(a)\\1', '\\1 cannot be used'],
    ['\\bword\\b', '\\b cannot be used'],
    ['\\p{L}', '\\p cannot be used'],
    ['(a|b)*a(a|b){20}', 'too many states'],
    ['^(a{1,100}){1,100}$', 'too large'],
    ['x'.repeat(PATTERN_LIMITS.patternCharsMax + 1), 'longer than'],
  ])('refuses %s', (pattern, reason) => {
    expect(() => compilePattern(pattern)).toThrow(reason)
  })
})
