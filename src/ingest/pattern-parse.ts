/** The parts of a regular expression that need no backtracking. Sets are inclusive ranges of code points, two numbers each. */
export type PatternNode =
  | { readonly kind: 'set'; readonly ranges: readonly number[] }
  | { readonly kind: 'sequence'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly options: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly node: PatternNode; readonly min: number; readonly max: number | null }
  | { readonly kind: 'start' }
  | { readonly kind: 'end' }

/** Why a pattern is not taken, for the person who wrote it. */
export class PatternError extends Error {}

const CODE_POINT_MAX = 0x10ffff
const DIGIT = [0x30, 0x39]
const WORD = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a]
// prettier-ignore
const SPACE = [
  0x09, 0x0d, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a,
  0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff,
]
const LINE_ENDS = [0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029]
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 }

/**
 * Reads a pattern as ECMA-262 does with the flag `u`, without what can only be matched by trying: references to groups,
 * looking ahead or behind, word boundaries; and without `\p`. @throws PatternError
 */
export function parsePattern(pattern: string): PatternNode {
  try {
    // Never run: the engine tells what is no regular expression at all better than we would.
    new RegExp(pattern, 'u')
  } catch (error) {
    throw new PatternError((error as Error).message, { cause: error })
  }
  const parser = new Parser(Array.from(pattern))
  return parser.choice()
}

class Parser {
  readonly #chars: readonly string[]
  #at = 0

  constructor(chars: readonly string[]) {
    this.#chars = chars
  }

  choice(): PatternNode {
    const options = [this.#sequence()]
    while (this.#peek() === '|') {
      this.#at++
      options.push(this.#sequence())
    }
    return options.length === 1 ? (options[0] as PatternNode) : { kind: 'choice', options }
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = []
    for (let c = this.#peek(); c !== undefined && c !== '|' && c !== ')'; c = this.#peek()) {
      parts.push(this.#quantified(this.#atom()))
    }
    return { kind: 'sequence', parts }
  }

  #atom(): PatternNode {
    const c = this.#next()
    switch (c) {
      case '^':
        return { kind: 'start' }
      case '$':
        return { kind: 'end' }
      case '.':
        return { kind: 'set', ranges: without(LINE_ENDS) }
      case '(':
        return this.#group()
      case '[':
        return this.#class()
      case '\\':
        return { kind: 'set', ranges: this.#escape(false) }
      default:
        return literal(c.codePointAt(0) ?? 0)
    }
  }

  #group(): PatternNode {
    if (this.#peek() === '?') {
      this.#at++
      if (this.#next() !== ':') throw new PatternError('of groups, only (…) and (?:…) can be used')
    }
    const inner = this.choice()
    this.#at++ // the closing parenthesis, which the engine has checked
    return inner
  }

  #quantified(node: PatternNode): PatternNode {
    const bounds = this.#bounds()
    if (bounds === null) return node
    // Laziness says which match is found, not whether there is one.
    if (this.#peek() === '?') this.#at++
    return { kind: 'repeat', node, ...bounds }
  }

  #bounds(): { readonly min: number; readonly max: number | null } | null {
    switch (this.#peek()) {
      case '*':
        this.#at++
        return { min: 0, max: null }
      case '+':
        this.#at++
        return { min: 1, max: null }
      case '?':
        this.#at++
        return { min: 0, max: 1 }
      case '{': {
        const end = this.#chars.indexOf('}', this.#at)
        const [min = '', max] = this.#chars
          .slice(this.#at + 1, end)
          .join('')
          .split(',')
        this.#at = end + 1
        const upTo = max === undefined ? Number(min) : max === '' ? null : Number(max)
        return { min: Number(min), max: upTo }
      }
      default:
        return null
    }
  }

  #class(): PatternNode {
    const isNegated = this.#peek() === '^'
    if (isNegated) this.#at++
    const ranges: number[] = []
    while (this.#peek() !== ']') {
      const from = this.#member()
      const isRange = this.#peek() === '-' && this.#chars[this.#at + 1] !== ']' && from.length === 2
      if (!isRange) ranges.push(...from)
      else {
        this.#at++
        const to = this.#member()
        ranges.push(from[0] ?? 0, to[1] ?? 0)
      }
    }
    this.#at++
    return { kind: 'set', ranges: isNegated ? without(ranges) : ranges }
  }

  #member(): readonly number[] {
    const c = this.#next()
    if (c === '\\') return this.#escape(true)
    const code = c.codePointAt(0) ?? 0
    return [code, code]
  }

  #escape(inClass: boolean): readonly number[] {
    const c = this.#next()
    switch (c) {
      case 'd':
        return DIGIT
      case 'D':
        return without(DIGIT)
      case 'w':
        return WORD
      case 'W':
        return without(WORD)
      case 's':
        return SPACE
      case 'S':
        return without(SPACE)
      case 'x':
        return this.#hex(2)
      case 'u':
        return this.#unicode()
      case 'c': {
        const code = (this.#next().codePointAt(0) ?? 0) % 32
        return [code, code]
      }
    }
    const control = CONTROL_ESCAPES[c] ?? (inClass && c === 'b' ? 8 : undefined)
    if (control === undefined && /[A-Za-z1-9]/.test(c)) {
      throw new PatternError(`\\${c} cannot be used: of classes there are \\d, \\w, \\s and their opposites`)
    }
    const code = control ?? c.codePointAt(0) ?? 0
    return [code, code]
  }

  #unicode(): readonly number[] {
    if (this.#peek() === '{') {
      const end = this.#chars.indexOf('}', this.#at)
      const code = parseInt(this.#chars.slice(this.#at + 1, end).join(''), 16)
      this.#at = end + 1
      return [code, code]
    }
    const [high = 0] = this.#hex(4)
    const follows = /^\\u(d[c-f][\da-f]{2})$/i.exec(this.#chars.slice(this.#at, this.#at + 6).join(''))
    if (high < 0xd800 || high > 0xdbff || follows === null) return [high, high]
    this.#at += 6
    const code = 0x10000 + ((high - 0xd800) << 10) + (parseInt(follows[1] ?? '', 16) - 0xdc00)
    return [code, code]
  }

  #hex(digits: number): readonly number[] {
    const code = parseInt(this.#chars.slice(this.#at, this.#at + digits).join(''), 16)
    this.#at += digits
    return [code, code]
  }

  #peek(): string | undefined {
    return this.#chars[this.#at]
  }

  #next(): string {
    const c = this.#chars[this.#at++]
    if (c === undefined) throw new PatternError('it ends too early')
    return c
  }
}

function literal(code: number): PatternNode {
  return { kind: 'set', ranges: [code, code] }
}

/** Everything but these ranges. */
function without(ranges: readonly number[]): readonly number[] {
  const pairs = Array.from({ length: ranges.length / 2 }, (_, i): [number, number] => [
    ranges[2 * i] ?? 0,
    ranges[2 * i + 1] ?? 0,
  ]).sort(([a], [b]) => a - b)
  const rest: number[] = []
  let from = 0
  for (const [start, end] of pairs) {
    if (start > from) rest.push(from, start - 1)
    from = Math.max(from, end + 1)
  }
  if (from <= CODE_POINT_MAX) rest.push(from, CODE_POINT_MAX)
  return rest
}
