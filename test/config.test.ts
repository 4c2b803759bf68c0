import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Config, describeConfig, loadConfig, SETTINGS } from '../src/config.ts'
import { nearestName } from '../src/id/nearest-name.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tallyman-config-'))
function file(name: string, text: string): string {
  const path = join(scratch, name)
  writeFileSync(path, text)
  return path
}
function config(inputs: Parameters<typeof loadConfig>[0]): Config {
  const outcome = loadConfig({ configFile: file('empty.yaml', ''), env: {}, ...inputs })
  if (outcome.kind === 'faults') throw new Error(outcome.faults.join('\n'))
  return outcome.config
}
function faults(inputs: Parameters<typeof loadConfig>[0]): readonly string[] {
  const outcome = loadConfig({ configFile: file('empty.yaml', ''), env: {}, ...inputs })
  return outcome.kind === 'faults' ? outcome.faults : []
}

describe('configuration', () => {
  it('is complete with nothing set', () => {
    expect(config({})).toMatchObject({
      port: 8888,
      metricsPort: 9464,
      dataDir: './data',
      kafka: { brokers: null },
    })
  })

  it('puts the command line over the environment over the file', () => {
    const configFile = file('order.yaml', 'port: 1001\nmetricsPort: 1002\ndataDir: from-file\n')
    const env = { TALLYMAN_PORT: '2001', TALLYMAN_METRICS_PORT: '2002' }
    expect(config({ configFile, env, overrides: { port: 3001 } })).toMatchObject({
      port: 3001,
      metricsPort: 2002,
      dataDir: 'from-file',
    })
  })

  it('reads nested keys and lists', () => {
    const configFile = file('nested.yaml', 'kafka:\n  brokers: [a:1, b:2]\n')
    expect(config({ configFile }).kafka.brokers).toEqual(['a:1', 'b:2'])
    expect(config({ env: { KAFKA_BROKERS: 'a:1, b:2' } }).kafka.brokers).toEqual(['a:1', 'b:2'])
  })

  it('names the nearest known key for an unknown one, in the file and in the environment', () => {
    expect(faults({ configFile: file('typo.yaml', 'ingest:\n  queueBytesMx: 1\n') })[0]).toContain(
      'unknown key "ingest.queueBytesMx". Did you mean "ingest.queueBytesMax"?',
    )
    expect(faults({ env: { TALLYMAN_METRIC_PORT: '1' } })[0]).toContain('Did you mean TALLYMAN_METRICS_PORT?')
  })

  it('reports every fault at once', () => {
    expect(
      faults({ env: { TALLYMAN_PORT: '70000', TALLYMAN_ROLE: 'boss', TALLYMAN_LOG_LEVEL: '' } }),
    ).toHaveLength(3)
  })

  it('reads a value from the file that *_FILE names, and refuses both at once', () => {
    const secret = file('secret', 'postgresql://u:p@h/d\n')
    expect(config({ env: { DATABASE_URL_FILE: secret } }).database.url).toBe('postgresql://u:p@h/d')
    expect(faults({ env: { DATABASE_URL_FILE: secret, DATABASE_URL: 'x' } })[0]).toContain(
      'Both DATABASE_URL',
    )
    expect(faults({ env: { DATABASE_URL_FILE: join(scratch, 'none') } })[0]).toContain(
      'DATABASE_URL_FILE cannot be read',
    )
  })

  it('never shows a secret', () => {
    const shown = describeConfig(config({ env: { DATABASE_URL: 'postgresql://u:hunter2@h/d' } }), {})
    expect(JSON.stringify(shown)).not.toContain('hunter2')
    expect(shown).toHaveLength(SETTINGS.length)
  })

  it('says what is wrong with a file that is not there or not YAML', () => {
    expect(faults({ configFile: join(scratch, 'missing.yaml') })[0]).toContain('cannot be read')
    expect(faults({ configFile: file('broken.yaml', 'a: [1') })[0]).toContain('is not YAML')
  })
})

describe('nearestName', () => {
  it('finds the name with the fewest edits', () => {
    expect(nearestName('prot', ['role', 'port', 'host'])).toBe('port')
  })
})
