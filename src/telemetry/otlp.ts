import { Counter, type Registry } from 'prom-client'

export function createOtlpMetrics(registry: Registry): { readonly onUnmapped: (points: number) => void } {
  const unmapped = new Counter({
    name: 'tallyman_otlp_unmapped_data_points_total',
    help: 'Data points of OTLP exports whose metric has no mapping; they are left out.',
    registers: [registry],
  })
  return { onUnmapped: (points) => unmapped.inc(points) }
}
