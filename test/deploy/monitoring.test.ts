import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { createAggregateMetrics } from '../../src/telemetry/aggregate.ts'
import { createHttpMetrics } from '../../src/telemetry/http.ts'
import { createIngestMetrics } from '../../src/telemetry/ingest.ts'
import { createInvoiceMetrics } from '../../src/telemetry/invoice.ts'
import { createLogMetrics } from '../../src/telemetry/log.ts'
import { createProvisionMetrics } from '../../src/telemetry/provision.ts'
import { createRegistry } from '../../src/telemetry/registry.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: { readonly summary: string; readonly runbook_url: string }
}
interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
}

const read = (path: string): string => readFileSync(path, 'utf8')
const rules = (
  parse(read('deploy/prometheus/rules.yml')) as {
    readonly groups: readonly { readonly rules: readonly Rule[] }[]
  }
).groups.flatMap((group) => group.rules)
const dashboard = JSON.parse(read('deploy/grafana/dashboards/tallyman.json')) as {
  readonly panels: readonly Panel[]
}
const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map((target) => target.expr))

/** Everything that a process in the role `all` exports. */
function exported(): ReturnType<typeof createRegistry> {
  const registry = createRegistry({ version: '0', role: 'all' })
  const ingest = createIngestMetrics(registry)
  ingest.observeQueue(() => 0)
  ingest.observeDuplicateWindow(() => 0)
  const log = createLogMetrics(registry)
  log.observeLag(() => [])
  log.observeDisk(() => ({ usedBytes: 0, freeBytes: 0 }))
  createAggregateMetrics(registry)
  createHttpMetrics(registry)
  createInvoiceMetrics(registry)
  createProvisionMetrics(registry)
  return registry
}

function metricsOf(expression: string): readonly string[] {
  return [...expression.matchAll(/\b(?:tallyman|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name)
}

function promtool(
  args: readonly string[],
  options: { readonly cwd?: string; readonly input?: string } = {},
): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { ...options, encoding: 'utf8' })
  if (error !== undefined) throw error
  expect(status, stdout + stderr).toBe(0)
  return stdout
}

describe('deploy/prometheus and deploy/grafana', () => {
  it('ask only for metrics that are exported', async () => {
    const names = new Set(
      (await exported().getMetricsAsJSON()).flatMap(({ name }) => [name, `${name}_bucket`]),
    )
    const unknown = [...rules.map((rule) => rule.expr), ...queries]
      .flatMap(metricsOf)
      .filter((name) => !names.has(name))
    expect(unknown).toEqual([])
  })

  it('have rules that promtool reads and that fire on what they are for', () => {
    promtool(['check', 'rules', 'rules.yml'], { cwd: 'deploy/prometheus' })
    promtool(['test', 'rules', 'rules.test.yml'], { cwd: 'deploy/prometheus' })
  })

  it('have queries that promtool reads', () => {
    const recorded = queries.map((expr, i) => ({
      record: `dashboard:query:${i}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }))
    const folder = mkdtempSync(join(tmpdir(), 'tallyman-rules-'))
    try {
      const file = join(folder, 'dashboard.yml')
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: recorded }] }))
      promtool(['check', 'rules', file])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('say for every alert what to do', () => {
    const page = read('docs/operations.md')
    const headings = new Set([...page.matchAll(/^### (\w+)$/gm)].map((match) => match[1]))
    expect(rules.map((rule) => rule.alert).filter((name) => !headings.has(name))).toEqual([])
    for (const { alert, annotations } of rules) {
      expect(annotations.runbook_url).toBe(`docs/operations.md#${alert.toLowerCase()}`)
    }
  })

  it('export metrics that promtool finds well named', async () => {
    promtool(['check', 'metrics'], { input: await exported().metrics() })
  })
})
