import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { Script } from 'node:vm'
import { describe, expect, it } from 'vitest'

describe('bin/tallyman.ts', () => {
  it('is plain JavaScript in a CommonJS folder, for a Node that knows no TypeScript has to read it', () => {
    const source = readFileSync('bin/tallyman.ts', 'utf8')
    expect(source).toMatch(/^#!\/usr\/bin\/env node\n/)
    expect(() => new Script(source.replace(/^#!.*/, ''))).not.toThrow()
    expect(JSON.parse(readFileSync('bin/package.json', 'utf8'))).toEqual({ type: 'commonjs' })
    expect(statSync('bin/tallyman.ts').mode & 0o111).not.toBe(0)
  })

  it('runs', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    const output = execFileSync(process.execPath, ['bin/tallyman.ts', '--version'], { encoding: 'utf8' })
    expect(output).toBe(`${version}\n`)
  })
})
