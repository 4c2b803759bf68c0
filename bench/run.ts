import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Figure } from './figure.ts'

/**
 * `npm run bench [-- NAME…]`: runs the benches one after another, prints each figure beside its floor of the same run, and writes
 * bench/results/NAME.json. Without names it runs all.
 */
const folder = import.meta.dirname
const known = readdirSync(folder)
  .filter((file) => file.endsWith('.bench.ts'))
  .map((file) => file.slice(0, -'.bench.ts'.length))
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`No bench named ${unknown.join(', ')}. There are: ${known.join(', ')}`)
  process.exit(2)
}

const dependencies = (
  JSON.parse(readFileSync(join(folder, '../package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
).dependencies
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryBytes: totalmem(),
  platform: `${process.platform} ${process.arch}`,
}
const versions = { node: process.version, ...dependencies, commit: commit() }

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown' // run from a package without a repository
  }
}

function show(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(4)
}

mkdirSync(join(folder, 'results'), { recursive: true })
for (const name of wanted.length > 0 ? wanted : known) {
  console.error(`bench ${name} …`)
  const bench = (await import(`./${name}.bench.ts`)) as { readonly run: () => Promise<readonly Figure[]> }
  const figures = (await bench.run()).map((figure) =>
    figure.floor === undefined || figure.ratio !== undefined
      ? figure
      : { ...figure, ratio: figure.value / figure.floor },
  )
  const width = Math.max(...figures.map((figure) => figure.metric.length))
  console.log(`\n${name} (${machine.cores} cores, Node ${process.version})`)
  for (const { metric, value, unit, floor, ratio } of figures) {
    const beside = floor === undefined ? '' : `   floor ${show(floor)}   ratio ${(ratio ?? 0).toFixed(2)}`
    console.log(`  ${metric.padEnd(width)}  ${show(value).padStart(14)} ${unit}${beside}`)
  }
  writeFileSync(
    join(folder, 'results', `${name}.json`),
    JSON.stringify({ name, figures, machine, versions }, null, 2) + '\n',
  )
}
