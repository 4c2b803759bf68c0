import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const TSC = resolve('node_modules/typescript/bin/tsc')
const root = mkdtempSync(join(tmpdir(), 'tallyman-package-'))
const installed = join(root, 'node_modules/@tallyman/client')

/** The package as it is published: package.json and what the build script makes, in a project of its own. */
beforeAll(() => {
  mkdirSync(installed, { recursive: true })
  writeFileSync(join(installed, 'package.json'), readFileSync('client/package.json'))
  execFileSync(process.execPath, [
    TSC,
    '-p',
    'client/tsconfig.build.json',
    '--outDir',
    join(installed, 'dist'),
  ])
  mkdirSync(join(root, 'node_modules/@types'))
  symlinkSync(resolve('node_modules/@types/node'), join(root, 'node_modules/@types/node'))
  symlinkSync(resolve('node_modules/undici-types'), join(root, 'node_modules/undici-types'))
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
})
afterAll(() => {
  rmSync(root, { recursive: true, force: true })
})

const PROGRAM = `
import { createTallyman, type Recorded } from '@tallyman/client'
import { openSpool } from '@tallyman/client/spool'
import { closeOnExit } from '@tallyman/client/exit'

const tallyman = createTallyman({
  url: 'http://127.0.0.1:1',
  apiKey: 'key',
  source: '/service',
  spool: openSpool({ directory: new URL('spool', import.meta.url).pathname }),
  onFault: () => undefined,
})
closeOnExit(tallyman)
const recorded: Recorded = tallyman.record({ type: 'job', subject: 'acme', id: 'one', data: { units: 1 } })
if (recorded.kind === 'refused') throw new Error(recorded.detail)
console.log(recorded.id, (await tallyman.close(1)).left)
`

describe('the published package', () => {
  it('has types for a strict consumer', () => {
    writeFileSync(join(root, 'program.ts'), PROGRAM)
    const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node']
    execFileSync(process.execPath, [TSC, ...flags, 'program.ts'], { cwd: root, encoding: 'utf8' })
    writeFileSync(join(root, 'wrong.ts'), PROGRAM.replace("type: 'job', ", ''))
    expect(() =>
      execFileSync(process.execPath, [TSC, ...flags, 'wrong.ts'], { cwd: root, stdio: 'pipe' }),
    ).toThrow()
  }, 60_000)

  it('runs', () => {
    writeFileSync(join(root, 'program.mjs'), PROGRAM.replace(', type Recorded', '').replace(': Recorded', ''))
    expect(execFileSync(process.execPath, ['program.mjs'], { cwd: root, encoding: 'utf8' })).toBe('one 1\n')
  })

  it('depends on nothing', () => {
    const manifest = JSON.parse(readFileSync('client/package.json', 'utf8')) as Record<string, unknown>
    expect(Object.keys(manifest).filter((name) => /dependencies/i.test(name))).toEqual([])
  })
})
