import { spawnSync } from 'node:child_process'

/** `npm run check`: format, lint, types, import rules, unused code. Every step runs; one failure fails the whole. */
const STEPS: readonly (readonly [name: string, script: string, args: readonly string[]])[] = [
  ['format', 'node_modules/prettier/bin/prettier.cjs', ['--check', '--log-level', 'warn', '.']],
  ['types', 'node_modules/typescript/bin/tsc', ['-p', '.']],
  ['lint', 'node_modules/eslint/bin/eslint.js', ['--max-warnings', '0', '.']],
  [
    'imports',
    'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
    ['--config', '.dependency-cruiser.cjs', '--output-type', 'err', 'src', 'bin'],
  ],
  ['unused', 'node_modules/knip/bin/knip.js', ['--no-progress']],
]

const failed: string[] = []
for (const [name, script, args] of STEPS) {
  const startedAt = performance.now()
  const { status } = spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' })
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`)
  if (status !== 0) failed.push(name)
}
if (failed.length > 0) {
  console.error(`check failed: ${failed.join(', ')}`)
  process.exitCode = 1
}
