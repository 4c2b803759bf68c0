import { open, type RootDatabase } from 'lmdb'
import { instantOf, type Instant } from '../../time/instant.ts'
import { LogError } from '../../usage/event-log.ts'

/** Address space taken at first; LMDB grows it when a day needs more. The file is only as long as its content. */
const MAP_BYTES_AT_FIRST = 1 << 28
const FORMAT = 1
const OFFSET_MAX = 2 ** 48 - 1
/** Sorts behind every record: partitions are numbered below 2^15. */
const HEAD_KEY = Buffer.from([0xff])

export interface StoredEntry {
  readonly partition: number
  readonly offset: number
  readonly value: Uint8Array
}

/** One LMDB file with the records of a topic that were appended from a day on. Keys are (partition, offset). */
export interface Environment {
  /** Per partition the offset of the first record that can be in this file. */
  readonly bases: readonly number[]
  /** Per partition the offset after the last record in this file, read from it. */
  storedEnds(): number[]
  read(
    partition: number,
    offset: number,
  ): { readonly value: Uint8Array; readonly appendedAt: Instant } | undefined
  /**
   * One transaction; resolves after the data and then the page that makes them valid are synced. Rejects with what
   * the operating system or LMDB said; none of the entries is visible then.
   */
  append(entries: readonly StoredEntry[], appendedAt: Instant): Promise<void>
  /** Writes what is committed as of some moment of the call into a new file, while appends go on. Not yet synced. */
  copyTo(file: string): Promise<void>
  close(): Promise<void>
}

/**
 * Makes the file of a new day. `bases` are stored before it returns, so a file without them is one whose making was
 * interrupted, and holds no record.
 */
export async function createEnvironment(file: string, bases: readonly number[]): Promise<Environment> {
  const database = openFile(file, false)
  const head = Buffer.from(JSON.stringify({ format: FORMAT, bases }))
  await commit(() => database.put(HEAD_KEY, head, 0), database)
  return environment(database, bases)
}

/**
 * Opens a file that is there. Null when its making was interrupted; it may be made anew.
 * @throws LogError `corrupt`
 */
export function openEnvironment(file: string, mode: 'append' | 'read'): Environment | null {
  let database: Database
  let head: Buffer | undefined
  try {
    database = openFile(file, mode === 'read')
    head = database.get(HEAD_KEY)
  } catch (error) {
    throw corrupt(file, 'it is not a file of the log', error)
  }
  const bases = head === undefined ? undefined : parseHead(head)
  if (bases === undefined || bases === null) void database.close() // at once: nothing was written through it
  if (bases === undefined) return null
  if (bases === null) {
    throw corrupt(file, 'its head is of another format', undefined)
  }
  return environment(database, bases)
}

type Database = RootDatabase<Buffer, Buffer>

function openFile(file: string, readOnly: boolean): Database {
  return open<Buffer, Buffer>({
    path: file,
    noSubdir: true,
    encoding: 'binary',
    keyEncoding: 'binary',
    // The version of an entry is when it was appended: LMDB writes it in front of the value without a copy of ours.
    useVersions: true,
    // The plain protocol of LMDB: a commit syncs the data, then the page that makes them valid. Overlapping syncs
    // are not faster with one transaction in flight, and would show records that a power cut can still take.
    overlappingSync: false,
    // `batch` alone decides what one transaction is.
    eventTurnBatching: false,
    noMemInit: true,
    mapSize: MAP_BYTES_AT_FIRST,
    maxDbs: 1,
    readOnly,
  })
}

function environment(database: Database, bases: readonly number[]): Environment {
  const scratch = Buffer.alloc(8)
  return {
    bases,
    storedEnds() {
      return bases.map((base, partition) => {
        const newestFirst = { reverse: true, limit: 1, inclusiveEnd: true }
        const range = { start: key(partition, OFFSET_MAX), end: key(partition, base), ...newestFirst }
        for (const last of database.getKeys(range)) return last.readUIntBE(2, 6) + 1
        return base
      })
    },
    read(partition, offset) {
      const entry = database.getEntry(writeKey(scratch, partition, offset))
      return entry === undefined
        ? undefined
        : { value: entry.value, appendedAt: instantOf(entry.version ?? 0) }
    },
    append(entries, appendedAt) {
      return commit(() => {
        for (const { partition, offset, value } of entries) {
          // Types say Buffer; any view of bytes is taken, by its address, and kept until the transaction is over.
          void database.put(writeKey(scratch, partition, offset), value as Buffer, appendedAt)
        }
      }, database)
    },
    copyTo: (file) => database.backup(file, false), // as it is: compacting would write other pages for nothing
    close: () => database.close(),
  }
}

/** Runs the writes as one transaction. @throws what the operating system or LMDB said */
async function commit(write: () => unknown, database: Database): Promise<void> {
  try {
    await database.batch(write)
  } catch (error) {
    if (!(error instanceof Error) || !('commitError' in error)) throw error
    await error.commitError
    throw error
  }
}

function key(partition: number, offset: number): Buffer {
  return writeKey(Buffer.alloc(8), partition, offset)
}

function writeKey(into: Buffer, partition: number, offset: number): Buffer {
  into.writeUInt16BE(partition, 0)
  into.writeUIntBE(offset, 2, 6)
  return into
}

function parseHead(head: Buffer): readonly number[] | null {
  let found: unknown
  try {
    found = JSON.parse(head.toString('utf8'))
  } catch {
    return null // the caller says what to do
  }
  if (typeof found !== 'object' || found === null) return null
  if (!('format' in found) || found.format !== FORMAT || !('bases' in found)) return null
  const { bases } = found
  return Array.isArray(bases) && bases.every((base) => Number.isSafeInteger(base))
    ? (bases as number[])
    : null
}

function corrupt(file: string, what: string, cause: unknown): LogError {
  return new LogError(
    'corrupt',
    `${file} cannot be read: ${what}. Restore the data directory from a backup; nothing was changed.`,
    { retryable: false, cause },
  )
}
