import { Counter, Histogram, type Registry } from 'prom-client'

export interface HttpMetrics {
  /** `route` is the pattern, never the path: ids in labels would grow without bound. */
  answered(request: {
    readonly method: string
    readonly route: string
    readonly status: number
    readonly seconds: number
  }): void
}

export function createHttpMetrics(registry: Registry): HttpMetrics {
  const requests = new Counter({
    name: 'tallyman_http_requests_total',
    help: 'Requests answered, by route pattern and status.',
    labelNames: ['method', 'route', 'code'],
    registers: [registry],
  })
  const duration = new Histogram({
    name: 'tallyman_http_request_duration_seconds',
    help: 'From the headers of a request to its answer.',
    labelNames: ['route'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  })
  return {
    answered({ method, route, status, seconds }) {
      requests.inc({ method, route, code: String(status) })
      duration.observe({ route }, seconds)
    },
  }
}
