import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { ProvisionMetrics } from '../provision/ports.ts'

/** What the gate does, for `/metrics`. No label names a tenant, a customer or a key. */
export function createProvisionMetrics(registry: Registry): ProvisionMetrics {
  const registers = [registry]
  const decisions = new Counter({
    name: 'tallyman_quota_decisions_total',
    help: 'Verifications and authentications of API keys, by decision and reason.',
    labelNames: ['decision', 'reason'],
    registers,
  })
  const held = new Gauge({
    name: 'tallyman_keys_held',
    help: 'API keys in the table that decisions are made from.',
    registers,
  })
  const applied = new Counter({
    name: 'tallyman_key_states_total',
    help: 'States of keys and quotas taken in, by whether they were newer than what was held.',
    labelNames: ['outcome'],
    registers,
  })
  const evaluations = new Counter({
    name: 'tallyman_quota_evaluations_total',
    help: 'Evaluations of observed quotas, by whether anything changed.',
    labelNames: ['outcome'],
    registers,
  })
  const evaluationSeconds = new Histogram({
    name: 'tallyman_quota_evaluation_seconds',
    help: 'Time of one evaluation: the lock, the exact figure and the write.',
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  })
  const notices = new Counter({
    name: 'tallyman_quota_notices_total',
    help: 'Rungs of ladders reached and holders let in again, each told once.',
    labelNames: ['action'],
    registers,
  })
  return {
    decided: (code) =>
      code === 'valid'
        ? decisions.inc({ decision: 'allow', reason: 'valid' })
        : decisions.inc({ decision: 'deny', reason: code }),
    keysHeld: (count) => held.set(count),
    applied: (outcome) => applied.inc({ outcome }),
    evaluated: (outcome, seconds) => {
      evaluations.inc({ outcome })
      evaluationSeconds.observe(seconds)
    },
    noticeFired: (action) => notices.inc({ action }),
  }
}
