import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Config, describeConfig, loadConfig, SETTINGS } from '../src/config.ts'

const read = (path: string): string => readFileSync(path, 'utf8')

describe('documentation', () => {
  it('lists every setting with its names and default in docs/configuration.md', () => {
    const outcome = loadConfig({ env: {} })
    const defaults = describeConfig((outcome as { config: Config }).config, {})
    const page = read('docs/configuration.md')
    for (const setting of SETTINGS) {
      const preset = defaults.find((row) => row.key === setting.path)?.value.replaceAll('"', '') ?? ''
      expect(page).toContain(`| \`${setting.path}\` | \`${setting.env}\` | ${preset} | ${setting.help} |`)
    }
  })

  it('links only to files that are there', () => {
    const pages = [
      'README.md',
      ...readdirSync('docs')
        .filter((name) => name.endsWith('.md'))
        .map((name) => `docs/${name}`),
    ]
    const dead = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#:]+?)(?:#[^)]*)?\)/g)]
        .map((match) => match[1] ?? '')
        .filter((target) => !existsSync(join(dirname(page), target)))
        .map((target) => `${page}: ${target}`),
    )
    expect(dead).toEqual([])
  })

  it('has the two commands of the README as they must stand', () => {
    const block = (heading: string): string | undefined =>
      new RegExp(`^## ${heading}\\n+\`\`\`sh\\n(.*)\\n\`\`\``, 'm').exec(read('README.md'))?.[1]
    expect(block('Run')).toBe('npm ci && npm run demo')
    expect(block('Test')).toBe('npm ci && npm test')
  })
})
