import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { missingTools } from './support/tools.ts'

/**
 * `npm test`: everything that a clean machine must pass. Servers are started by the tests themselves; what they
 * need of the operating system is installed here where that is possible, else named.
 * `--without kafka` leaves out the tests on a real broker and says so; nothing is left out silently.
 */
const { values, positionals } = parseArgs({
  options: {
    without: { type: 'string', multiple: true, default: [] },
    project: { type: 'string', multiple: true },
  },
  allowPositionals: true,
})
const without = values.without
const unknown = without.filter((name) => name !== 'kafka')
if (unknown.length > 0) {
  console.error(`--without ${unknown.join(', ')}: only kafka can be left out`)
  process.exit(2)
}

const missing = missingTools({ kafka: !without.includes('kafka') })
if (missing.length > 0) {
  console.error(`The tests need ${missing.join(', ')}. Install: apt-get install ${missing.join(' ')}`)
  console.error('(or choose `npm test -- --without kafka` to leave out the tests on a real Kafka broker)')
  process.exit(1)
}

const report = 'test/results/vitest.json'
mkdirSync('test/results', { recursive: true })
rmSync(report, { force: true })
const run = spawnSync(
  process.execPath,
  [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...(values.project ?? []).flatMap((name) => ['--project', name]),
    ...(without.includes('kafka') ? ['--exclude', 'test/**/*kafka*.test.ts'] : []),
    ...positionals,
  ],
  { stdio: 'inherit' },
)

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly name: string
    readonly assertionResults: readonly unknown[]
  }[]
}
let passed = 0
let failed = 1
let skipped = 0
try {
  const result = JSON.parse(readFileSync(report, 'utf8')) as Report
  // A file that fails before its first test counts as one failure: its tests did not run.
  const brokenFiles = result.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  )
  passed = result.numPassedTests
  failed = result.numFailedTests + brokenFiles.length
  skipped = result.numPendingTests + result.numTodoTests
} catch (error) {
  console.error(`vitest left no report: ${String(error)}`)
}
if (run.status !== 0 && failed === 0) failed = 1 // an unhandled error outside of any test
if (skipped > 0) {
  console.error(`${skipped} tests were skipped; a skipped test proves nothing, so this counts as a failure`)
  failed += skipped
}
if (without.length > 0) console.log(`left out by choice: ${without.join(', ')}`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
