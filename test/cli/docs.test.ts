import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { everyCommand } from '../support/run-cli.ts'

/** `invoice show|list` of the page's table → `invoice show`, `invoice list`. */
function commandsOfPage(): Set<string> {
  const page = readFileSync('docs/cli.md', 'utf8')
  const named = new Set<string>()
  for (const [, first = '', second] of page.matchAll(
    /`([a-z|]+(?:\\\|[a-z]+)*)(?: ([a-z]+(?:\\\|[a-z]+)*))?/g,
  )) {
    for (const group of first.split('\\|')) {
      named.add(group)
      for (const command of second?.split('\\|') ?? []) named.add(`${group} ${command}`)
    }
  }
  return named
}

describe('docs/cli.md', () => {
  const documented = commandsOfPage()
  it.each(everyCommand().map(({ path }) => path))('names `%s`', (path) => {
    expect(documented).toContain(path)
  })
})

describe('every command', () => {
  it.each(everyCommand().map((command) => [command.path, command.flags] as const))(
    '%s has --json',
    (_, flags) => {
      expect(flags).toContain('--json')
    },
  )
})
