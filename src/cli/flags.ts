import { wrongUse } from './failure.ts'

/** For options that may be given again and again. */
export function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value]
}

/** `name=value` flags as a record. @throws CliFailure (wrong use) */
export function readPairs(flag: string, pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw wrongUse(`${flag} must look like name=value; it is "${pair}".`)
      return [pair.slice(0, at), pair.slice(at + 1)] as const
    }),
  )
}

/** Leaves out members that were not given. */
export function given(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}
