import { parsePattern, PatternError, type PatternNode } from './pattern-parse.ts'

/** A pattern as a table of states: a text is matched with one look-up a character, whatever the pattern. */
export interface Pattern {
  test(text: string): boolean
  /** The pattern's text. */
  toString(): string
}

export const PATTERN_LIMITS = {
  patternCharsMax: 500,
  /** Steps of a pattern with its repetitions written out. */
  stepsMax: 2000,
  statesMax: 1000,
  /** Work of making the table; some short patterns would need 2^n states. */
  workMax: 1_000_000,
} as const

type Step =
  | { readonly kind: 'set'; readonly ranges: readonly number[]; next: number }
  | { readonly kind: 'fork'; next: number; other: number }
  | { readonly kind: 'start' | 'end'; next: number }
  | { readonly kind: 'match' }

const DEAD = -1
const MATCHED = -2
const NONE = -1

/**
 * Compiles a pattern of JSON Schema (searched for anywhere in the text unless `^` and `$` say otherwise). The engine's
 * own matching can take longer than the age of the universe for `(a*)*b`; here the time is bounded by the text, and what
 * would need too large a table is refused when the schema is registered. @throws PatternError
 */
export function compilePattern(pattern: string): Pattern {
  const { patternCharsMax } = PATTERN_LIMITS
  if (pattern.length > patternCharsMax)
    throw new PatternError(`it is longer than ${patternCharsMax} characters`)
  const program = new Program()
  const first = program.add(parsePattern(pattern), program.match)
  const { table, classes, finals, starts } = tableOf(program.steps, first)
  const width = starts.length
  return {
    test: (text) => {
      let state = 0
      for (let at = 0; at < text.length; at++) {
        if (state < 0) break
        const code = text.codePointAt(at) ?? 0
        if (code > 0xffff) at++
        const column = code < 256 ? (classes[code] ?? 0) : classOf(starts, code)
        state = table[state * width + column] ?? DEAD
      }
      return state === MATCHED || (state >= 0 && finals[state] === true)
    },
    toString: () => pattern,
  }
}

class Program {
  readonly steps: Step[] = [{ kind: 'match' }]
  readonly match = 0

  /** Adds the steps of a node before `next`; answers the first of them. */
  add(node: PatternNode, next: number): number {
    switch (node.kind) {
      case 'set':
        return this.#push({ kind: 'set', ranges: node.ranges, next })
      case 'start':
      case 'end':
        return this.#push({ kind: node.kind, next })
      case 'sequence':
        return node.parts.reduceRight((behind, part) => this.add(part, behind), next)
      case 'choice':
        return node.options
          .map((option) => this.add(option, next))
          .reduce((other, first) => this.#push({ kind: 'fork', next: first, other }))
      case 'repeat':
        return this.#repeat(node.node, node.min, node.max, next)
    }
  }

  #repeat(node: PatternNode, min: number, max: number | null, next: number): number {
    let first = next
    if (max === null) {
      const fork = { kind: 'fork' as const, next: NONE, other: next }
      first = this.#push(fork)
      fork.next = this.add(node, first)
    } else {
      for (let i = min; i < max; i++) {
        first = this.#push({ kind: 'fork', next: this.add(node, first), other: next })
      }
    }
    for (let i = 0; i < min; i++) first = this.add(node, first)
    return first
  }

  #push(step: Step): number {
    if (this.steps.length >= PATTERN_LIMITS.stepsMax) {
      throw new PatternError('it is too large with its repetitions written out; bound lengths with maxLength')
    }
    this.steps.push(step)
    return this.steps.length - 1
  }
}

interface Table {
  /** `table[state * width + class]` is the next state. */
  readonly table: Int32Array
  /** Class of each character below 256. */
  readonly classes: Uint16Array
  /** First code point of each class, ascending. */
  readonly starts: readonly number[]
  /** Whether a text that ends in the state matches. */
  readonly finals: readonly boolean[]
}

function tableOf(steps: readonly Step[], first: number): Table {
  const starts = classStarts(steps)
  const closure = createClosure(steps)
  const initial = closure([first], true, false)
  const restart = closure([first], false, false)
  const sets = [initial]
  // The first state is no other: only there `^` holds, also for a set of steps that comes again.
  const known = new Map<string, number>()
  const rows: number[] = []
  const finals: boolean[] = []
  if (initial.includes(0)) return constant(true)
  for (let state = 0; state < sets.length; state++) {
    const set = sets[state] as readonly number[]
    finals.push(closure(set, state === 0, true).includes(0))
    for (const code of starts) {
      const reached: number[] = []
      for (const at of set) {
        const step = steps[at]
        if (step?.kind === 'set' && isIn(step.ranges, code)) reached.push(step.next)
      }
      const next = [...new Set([...closure(reached, false, false), ...restart])].sort((a, b) => a - b)
      rows.push(stateOf(next, sets, known))
    }
  }
  const classes = new Uint16Array(256)
  for (let code = 0; code < 256; code++) classes[code] = classOf(starts, code)
  return { table: Int32Array.from(rows), classes, starts, finals }
}

function constant(matches: boolean): Table {
  return {
    table: Int32Array.of(matches ? MATCHED : DEAD),
    classes: new Uint16Array(256),
    starts: [0],
    finals: [matches],
  }
}

function stateOf(set: readonly number[], sets: (readonly number[])[], known: Map<string, number>): number {
  if (set.includes(0)) return MATCHED
  if (set.length === 0) return DEAD
  const name = set.join()
  const there = known.get(name)
  if (there !== undefined) return there
  if (sets.length >= PATTERN_LIMITS.statesMax) throw tooManyStates()
  known.set(name, sets.length)
  return sets.push(set) - 1
}

/** What can be reached without reading a character, ascending. `start` and `end` hold only where the text does. */
function createClosure(steps: readonly Step[]) {
  let work = 0
  return (from: readonly number[], atStart: boolean, atEnd: boolean): readonly number[] => {
    const seen = new Set<number>()
    const open = [...from]
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (++work > PATTERN_LIMITS.workMax) throw tooManyStates()
      if (seen.has(at)) continue
      seen.add(at)
      const step = steps[at]
      if (step?.kind === 'fork') open.push(step.next, step.other)
      else if ((step?.kind === 'start' && atStart) || (step?.kind === 'end' && atEnd)) open.push(step.next)
    }
    // Only what reads, ends or waits for the end decides what comes; a passed fork would make equal states look different.
    return [...seen].filter((at) => !isPassed(steps[at])).sort((a, b) => a - b)
  }
}

function isPassed(step: Step | undefined): boolean {
  return step?.kind === 'fork' || step?.kind === 'start'
}

function tooManyStates(): PatternError {
  return new PatternError('it needs too many states; say it with fewer repetitions and choices')
}

/** The code points at which any set of the pattern begins or has ended: between two of them all are alike. */
function classStarts(steps: readonly Step[]): readonly number[] {
  const starts = new Set([0])
  for (const step of steps) {
    if (step.kind !== 'set') continue
    for (let i = 0; i < step.ranges.length; i += 2) {
      starts.add(step.ranges[i] ?? 0)
      starts.add((step.ranges[i + 1] ?? 0) + 1)
    }
  }
  return [...starts].sort((a, b) => a - b)
}

function classOf(starts: readonly number[], code: number): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] ?? 0) <= code) low = middle
    else high = middle - 1
  }
  return low
}

function isIn(ranges: readonly number[], code: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) {
    if (code >= (ranges[i] ?? 0) && code <= (ranges[i + 1] ?? 0)) return true
  }
  return false
}
