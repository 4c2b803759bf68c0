import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runDemo } from '../support/demo.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-demo-'))
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
})

describe('tallyman demo', () => {
  it('turns the default trace into the invoice of 65.58 USD, once, and refuses the key', async () => {
    const result = await runDemo(['--data', join(scratch, 'default')])
    expect(result.events).toMatchObject({ accepted: 8819 })
    expect(result.events.duplicates).toBeGreaterThan(0)
    expect(result.events.sent).toBe(8819 + result.events.duplicates)
    expect(result.quota.keyStatus).toBe('suspended')
    expect(result.invoice.lines.map((line) => [line.price, line.quantity, line.amount])).toEqual([
      ['base', '1', '20.00'],
      ['input-tokens', '18059974', '38.62'],
      ['output-tokens', '245896', '2.46'],
      ['requests', '8819', '4.50'],
    ])
    expect(result.invoice.total).toBe('65.58')
    expect(result.reconcile.ok).toBe(true)
    expect(result.reconcile.checks.length).toBeGreaterThan(3)
  })

  it('prices another trace of the same columns', async () => {
    // 2,500 rows in a month with a leap day: 500 input tokens each in the free tier and the next, 7 output tokens each.
    const rows = Array.from({ length: 2500 }, (_, i) => {
      const second = String(i % 60).padStart(2, '0')
      const minute = String(Math.floor(i / 60) % 60).padStart(2, '0')
      return `2024-02-29 23:${minute}:${second}.1234567,500,7`
    })
    const trace = join(scratch, 'other.csv')
    writeFileSync(trace, ['TIMESTAMP,ContextTokens,GeneratedTokens', ...rows, ''].join('\r\n'))
    const result = await runDemo(['--data', join(scratch, 'other'), '--trace', trace])
    expect(result.events.accepted).toBe(2500)
    expect(result.quota.keyStatus).toBe('active') // 17,500 of 200,000
    // input: 250,000 × 0.0000025 above the free million = 0.625 → 0.63; output: 17,500 × 0.000012 = 0.21; 3 packages = 1.50
    expect(result.invoice.lines.map((line) => line.amount)).toEqual(['20.00', '0.63', '0.21', '1.50'])
    expect(result.invoice).toMatchObject({
      total: '22.34',
      periodStart: '2024-02-01T00:00:00Z',
      periodEnd: '2024-03-01T00:00:00Z',
    })
    expect(result.reconcile.ok).toBe(true)
  })
})
