import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { z } from 'zod'
import { StartFailure } from './start-failure.ts'

const FILE = 'manifest.json'
const FORMAT = 1
const READ_BYTES = 1024 * 1024

const schemaShape = z.array(z.object({ name: z.string(), checksum: z.string() }))
const rowsShape = z.array(z.object({ table: z.string(), rows: z.string() }))
const shape = z.object({
  format: z.literal(FORMAT),
  /** Of Tallyman. */
  version: z.string(),
  startedAt: z.string(),
  finishedAt: z.string(),
  log: z.object({
    topics: z.array(
      z.object({
        topic: z.string(),
        ends: z.array(z.object({ partition: z.number(), offset: z.number() })),
      }),
    ),
  }),
  clickhouse: z.object({ version: z.string(), schema: schemaShape, tables: rowsShape }),
  postgres: z.object({
    version: z.string(),
    schema: schemaShape,
    tables: rowsShape,
    sequences: z.array(z.object({ name: z.string(), last: z.string() })),
  }),
  files: z.array(z.object({ path: z.string(), bytes: z.number(), sha256: z.string() })),
})

/** What a backup holds. It is written last: a directory without it is no backup. */
export type Manifest = z.infer<typeof shape>
export type ManifestFile = Manifest['files'][number]

/** Syncs every file below the directory and answers what it is. */
export async function sealFiles(directory: string, signal: AbortSignal): Promise<readonly ManifestFile[]> {
  const files: ManifestFile[] = []
  const folders = new Set<string>([directory])
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) folders.add(join(entry.parentPath, entry.name))
    if (!entry.isFile()) continue
    signal.throwIfAborted()
    const path = join(entry.parentPath, entry.name)
    const { bytes, sha256 } = await digestOf(path, true)
    files.push({ path: relative(directory, path), bytes, sha256 })
  }
  for (const folder of folders) syncPath(folder)
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** Writes the manifest so that it is there whole and durable, or not at all. */
export function writeManifest(directory: string, manifest: Manifest): void {
  const path = join(directory, FILE)
  const handle = openSync(`${path}.next`, 'wx', 0o600)
  try {
    writeSync(handle, `${JSON.stringify(manifest, null, 2)}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(`${path}.next`, path)
  syncPath(directory)
}

/** @throws StartFailure when the directory is no backup, or one that this program cannot read */
export function readManifest(directory: string): Manifest {
  let text: string
  try {
    text = readFileSync(join(directory, FILE), 'utf8')
  } catch (error) {
    throw new StartFailure(
      `${directory} is no backup: it has no ${FILE}, which is written last. Name the directory that \`tallyman backup\` has finished.`,
      error,
    )
  }
  try {
    return shape.parse(JSON.parse(text))
  } catch (error) {
    throw new StartFailure(
      `${join(directory, FILE)} is not the manifest of a backup that this version can read.`,
      error,
    )
  }
}

/** Reads every file and compares it with the manifest. @throws StartFailure that names all files that differ */
export async function verifyFiles(
  directory: string,
  manifest: Manifest,
  onFile: (bytes: number) => void,
): Promise<void> {
  const faults: string[] = []
  for (const { path, bytes, sha256 } of manifest.files) {
    // A manifest is text that anybody can write: nothing outside of the backup is ever read for it.
    const found = relative('.', path).startsWith('..')
      ? 'lies outside'
      : await digestOf(join(directory, path), false).catch((error: unknown) =>
          error instanceof Error ? error.message : String(error),
        )
    if (typeof found === 'string') faults.push(`${path} cannot be read (${found})`)
    else if (found.bytes !== bytes) faults.push(`${path} has ${found.bytes} bytes instead of ${bytes}`)
    else if (found.sha256 !== sha256) faults.push(`${path} has changed`)
    onFile(bytes)
  }
  if (faults.length === 0) return
  throw new StartFailure(
    `The backup ${directory} is damaged, so nothing was restored: ${faults.join('; ')}. Take another backup.`,
  )
}

async function digestOf(path: string, sync: boolean): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  const file = await open(path, sync ? 'r+' : 'r')
  try {
    let bytes = 0
    for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: READ_BYTES })) {
      hash.update(chunk as Buffer)
      bytes += (chunk as Buffer).length
    }
    if (sync) await file.sync()
    return { bytes, sha256: hash.digest('hex') }
  } finally {
    await file.close()
  }
}

/** Makes what a directory lists durable, with its own name where `path` was just made or renamed. */
export function syncPath(path: string): void {
  for (const each of [path, dirname(path)]) {
    const handle = openSync(each, 'r')
    try {
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
  }
}
