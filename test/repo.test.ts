import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const read = (path: string): string => readFileSync(path, 'utf8')

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !/(^|\/)(node_modules|dist|\.cache|results)(\/|$)/.test(name))
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
}

const FOLDERS = ['src', 'test', 'bench', 'client', 'bin', 'docs', 'examples', 'schemas', 'deploy'].filter(
  (folder) => existsSync(folder),
)
const TEXTS = FOLDERS.flatMap(filesBelow).filter((path) =>
  /\.(ts|js|md|ya?ml|sql|sh|json|avsc|lua|conf)$/.test(path),
)
const CODE = TEXTS.filter((path) => path.endsWith('.ts'))

interface Lock {
  readonly packages: Readonly<
    Record<
      string,
      { readonly optionalDependencies?: Readonly<Record<string, string>>; readonly resolved?: string }
    >
  >
}

describe('the repository', () => {
  it('has a lockfile with the optional packages of every platform: npm ci refuses it otherwise', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as Lock
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
      Object.keys(optionalDependencies ?? {}).filter(
        (name) =>
          packages[`node_modules/${name}`] === undefined &&
          packages[`${path}/node_modules/${name}`] === undefined,
      ),
    )
    expect(missing).toEqual([])
  })

  it('names no registry host in the lockfile', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as Lock
    expect(Object.entries(packages).filter(([, { resolved }]) => resolved !== undefined)).toEqual([])
  })

  it('leaves no loose ends', () => {
    // Put together from pieces, so that this file does not find itself.
    const mark = new RegExp(
      ['\\b(it|test|describe)\\.(skip|only)\\b|FIX', 'ME|TO', 'DO|@ts-ig', 'nore'].join(''),
    )
    expect(CODE.filter((path) => mark.test(read(path)))).toEqual([])
  })

  it('keeps every file of code short enough to hold one idea', () => {
    const long = CODE.filter((path) => path.startsWith('src/') || path.startsWith('client/'))
      .filter((path) => path !== 'src/config.ts') // a table of settings, one entry after another
      .map((path) => ({ path, lines: read(path).split('\n').length }))
      .filter(({ lines }) => lines > 351)
    expect(long).toEqual([])
  })

  it('has a README for every folder of the sources, and links from the front page to those of the stages', () => {
    const folders = readdirSync('src', { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
    expect(folders.filter((name) => !existsSync(`src/${name}/README.md`))).toEqual([])
    for (const stage of ['ingest', 'aggregate', 'rating', 'invoice', 'provision']) {
      expect(read('README.md')).toContain(`src/${stage}/README.md`)
    }
  })

  it('cites every numbered invariant of a README in a test', () => {
    const tests = CODE.filter((path) => path.includes('test/')).map(read)
    const uncited = TEXTS.filter((path) => /^(src|client)\/.*README\.md$/.test(path)).flatMap((path) =>
      [...read(path).matchAll(/^[-|]\s*\*{0,2}([A-Z]{1,3}\d{1,2})\b/gm)]
        .map((match) => match[1] ?? '')
        .filter((invariant) => !tests.some((text) => new RegExp(`\\b${invariant}\\b`).test(text)))
        .map((invariant) => `${path}: ${invariant}`),
    )
    expect(uncited).toEqual([])
  })
})
