import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openMeterMappings } from './openmeter-mapping.ts'
import { peerMappings } from './peer-mapping.ts'
import { semanticsMappings } from './semantics-mapping.ts'
import { closeUsageStage } from './usage-stage.ts'
import { canonicalText, Field, type Mapping, type Siblings } from './vector.ts'

export type VectorResult =
  | { readonly kind: 'passed'; readonly id: string; readonly family: string }
  | {
      readonly kind: 'failed'
      readonly id: string
      readonly family: string
      readonly expected: string
      readonly actual: string
    }
  | {
      readonly kind: 'excluded'
      readonly id: string
      readonly family: string
      readonly policy: string
      readonly expected: string
      readonly ours: string
    }

/** Runs every `*-vectors.json` of a directory. The shape of a vector follows from its members, not from its file. */
export async function runVectors(directory: string): Promise<VectorResult[]> {
  const files = readdirSync(directory).filter((name) => name.endsWith('-vectors.json'))
  if (files.length === 0) throw new Error(`no file in ${directory} ends in -vectors.json`)
  const results: VectorResult[] = []
  try {
    for (const name of files.sort()) {
      const raw: unknown = JSON.parse(readFileSync(join(directory, name), 'utf8'))
      const vectors = new Field(raw, name).list()
      const siblings: Siblings = (id) => vectors.find((vector) => vector.at('id').textOr('') === id)
      for (const vector of vectors) results.push(await runVector(vector, siblings))
    }
  } finally {
    await closeUsageStage()
  }
  return results
}

/** Members of a vector that its mapping must have read, each of them: the rest names and annotates it. */
const MEMBERS = ['config', 'usage', 'input', 'expected']

async function runVector(vector: Field, siblings: Siblings): Promise<VectorResult> {
  const id = vector.at('id').textOr('without id')
  const { family, mapping } = mappingOf(vector)
  const expected = canonicalText(vector.at('expected').peek())
  if (mapping === undefined)
    return { kind: 'failed', id, family, expected, actual: 'no mapping for this model' }
  try {
    const mapped = await mapping(vector, siblings)
    const unread = MEMBERS.filter((member) => member !== 'expected' || mapped.kind === 'compare').flatMap(
      (member) => vector.at(member).unread(),
    )
    if (unread.length > 0) throw new Error(`the mapping does not know ${unread.join(', ')}`)
    switch (mapped.kind) {
      case 'excluded':
        return {
          kind: 'excluded',
          id,
          family,
          policy: mapped.policy,
          expected,
          ours: canonicalText(mapped.ours),
        }
      case 'compare': {
        const wanted = canonicalText(mapped.expected)
        const actual = canonicalText(mapped.actual)
        return wanted === actual
          ? { kind: 'passed', id, family }
          : { kind: 'failed', id, family, expected: wanted, actual }
      }
    }
  } catch (error) {
    return {
      kind: 'failed',
      id,
      family,
      expected,
      actual: error instanceof Error ? error.message : String(error),
    }
  }
}

function mappingOf(vector: Field): { readonly family: string; readonly mapping: Mapping | undefined } {
  const topic = vector.at('topic')
  if (topic.exists) return { family: topic.text(), mapping: semanticsMappings[topic.text()] }
  const model = vector.at('model').textOr('')
  const mappings = vector.at('source_repo').exists ? peerMappings : openMeterMappings
  return { family: model, mapping: mappings[model] }
}

/** The report as contracts want it: a table per model, the reasons, the failures, and the line of sums last. */
export function reportOf(results: readonly VectorResult[]): string {
  const count = (kind: VectorResult['kind'], of: readonly VectorResult[] = results): number =>
    of.filter((result) => result.kind === kind).length
  const families = [...new Set(results.map(({ family }) => family))].sort()
  const table = families.map((family) => {
    const of = results.filter((result) => result.family === family)
    const counts = [count('passed', of), count('failed', of), count('excluded', of)]
    return `${family.padEnd(40)}${counts.map((n) => String(n).padStart(10)).join('')}`
  })
  const excluded = results.filter((result) => result.kind === 'excluded')
  const reasons = [...new Set(excluded.map(({ policy }) => policy))]
    .sort()
    .flatMap((policy) => [
      policy,
      ...excluded
        .filter((result) => result.policy === policy)
        .map((result) => `  ${result.id}: expected ${result.expected}, ours ${result.ours}`),
    ])
  const failures = results
    .filter((result) => result.kind === 'failed')
    .map(
      ({ id, family, expected, actual }) =>
        `FAILED ${id} (${family})\n  expected ${expected}\n  actual   ${actual}`,
    )
  return [
    `${'model'.padEnd(40)}${'passed'.padStart(10)}${'failed'.padStart(10)}${'excluded'.padStart(10)}`,
    ...table,
    '',
    ...reasons,
    '',
    ...failures,
    `${count('passed')} passed, ${count('failed')} failed, ${count('excluded')} excluded`,
  ].join('\n')
}

if (import.meta.main) {
  const results = await runVectors(process.argv[2] ?? import.meta.dirname)
  process.stdout.write(reportOf(results) + '\n')
  process.exitCode = results.some(({ kind }) => kind === 'failed') ? 1 : 0
}
