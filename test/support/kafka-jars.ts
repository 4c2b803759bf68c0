import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const POM = join(import.meta.dirname, 'kafka', 'pom.xml')
const CACHE = join(import.meta.dirname, '..', '.cache')
const run = promisify(execFile)

/**
 * The class path of Apache Kafka. Maven brings the jars once for each content of the pom; two test files may ask at
 * the same time, since a folder gets its name only when it is whole.
 * @throws Error that names what to install when Java or Maven is missing
 */
export async function kafkaClassPath(): Promise<string> {
  requireTool('java', '-version', 'openjdk-17-jre-headless')
  const checksum = createHash('sha256').update(readFileSync(POM)).digest('hex').slice(0, 16)
  const folder = join(CACHE, `kafka-${checksum}`)
  if (!existsSync(folder)) await download(folder)
  return join(folder, '*')
}

async function download(folder: string): Promise<void> {
  requireTool('mvn', '-version', 'maven')
  mkdirSync(CACHE, { recursive: true })
  const unfinished = mkdtempSync(`${folder}.`)
  try {
    await run('mvn', [
      '--batch-mode',
      '--quiet',
      '--file',
      POM,
      'dependency:copy-dependencies',
      `-DoutputDirectory=${unfinished}`,
    ])
    if (!readdirSync(unfinished).some((name) => name.startsWith('kafka_2.13-'))) {
      throw new Error('Maven ended well and brought no Kafka')
    }
    if (!existsSync(folder)) renameSync(unfinished, folder)
  } catch (error) {
    // The other one that was downloading has put the folder there in the meantime.
    if (!existsSync(folder)) throw error
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

function requireTool(command: string, argument: string, debianPackage: string): void {
  const { error, status } = spawnSync(command, [argument], { stdio: 'ignore' })
  if (error === undefined && status === 0) return
  throw new Error(
    `The tests on a real Kafka broker need ${command}: apt-get install ${debianPackage} (or leave them out: npm test -- --without kafka)`,
  )
}
