import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'

/** prom-client names these gauges `…_total`, which `promtool check metrics` refuses. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]

/** The registry of a process: Node's own metrics and what is running. Stages add theirs. */
export function createRegistry(build: { readonly version: string; readonly role: string }): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const name of MISNAMED) registry.removeSingleMetric(name)
  new Gauge({
    name: 'tallyman_build_info',
    help: 'Always 1; the labels say what is running.',
    labelNames: ['version', 'role', 'node'],
    registers: [registry],
  }).set({ version: build.version, role: build.role, node: process.version }, 1)
  return registry
}
