import { setImmediate as yieldToLoop } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import type { TenantId } from '../id/ids.ts'
import type { EventLog, LogRecord } from '../usage/event-log.ts'
import { PackWalker } from '../usage/pack-walker.ts'
import { TOPIC_EVENTS } from '../usage/topics.ts'
import { conflictsAmong, type CopyRow } from './conflict-rows.ts'
import { addChecksums, type RangeSum, recordChecksum } from './journal.ts'
import { MINUTE_MS } from './touched.ts'

const READ_BYTES = 8_388_608

/** Every nth identity: the replay of a large partition keeps only these in memory. */
export interface IdentitySlice {
  readonly of: number
  readonly index: number
}

/** What a partition's records say by themselves: nothing of it was read from the usage store. */
export interface PartitionReplay {
  /** Of all records, all tenants. */
  readonly log: RangeSum
  /** Of one tenant's identities in the slice. */
  readonly received: number
  readonly canonical: CanonicalSum
  readonly conflicts: number
}

/** Count, sum and xor of the CRC-32 of rows: it does not depend on their order. */
interface CanonicalSum {
  readonly rows: number
  readonly sum: number
  readonly xor: number
}

interface Copy extends CopyRow {
  readonly crc: number
}

/** Reads records `[from, to)` of a partition and judges each identity anew: the first copy counts. */
export async function replayPartition(
  log: Pick<EventLog, 'read'>,
  range: { readonly partition: number; readonly from: number; readonly to: number },
  tenant: TenantId,
  slice: IdentitySlice,
): Promise<PartitionReplay> {
  const identities = new Map<string, Copy[]>()
  let sum: RangeSum = { events: 0, bytes: 0, checksum: 0 }
  let received = 0
  const replay = new Replay(tenant, slice, range.partition)
  for (let at = range.from; at < range.to;) {
    const records = await log.read(TOPIC_EVENTS, range.partition, at, READ_BYTES)
    if (records.length === 0) break
    for (const record of records) {
      if (record.offset !== at)
        throw new RangeError(`partition ${range.partition}: ${record.offset} came at ${at}`)
      if (at === range.to) break
      at++
      const { events, copies } = replay.judge(record)
      received += copies.length
      for (const copy of copies) addCopy(identities, copy)
      sum = {
        events: sum.events + events,
        bytes: sum.bytes + record.value.length,
        checksum: addChecksums(sum.checksum, recordChecksum(record)),
      }
    }
    await yieldToLoop()
  }
  return { log: sum, received, ...verdict(identities) }
}

/** Copies with an equal key are one row: the first of each key stays. */
function addCopy(identities: Map<string, Copy[]>, copy: Copy): void {
  const identity = JSON.stringify([copy.source, copy.id])
  const known = identities.get(identity)
  if (known === undefined) identities.set(identity, [copy])
  else if (!known.some((earlier) => haveEqualKeys(earlier, copy))) known.push(copy)
}

function haveEqualKeys(a: CopyRow, b: CopyRow): boolean {
  return (
    a.type === b.type &&
    a.subject === b.subject &&
    Math.floor(a.timeMs / MINUTE_MS) === Math.floor(b.timeMs / MINUTE_MS)
  )
}

function verdict(
  identities: ReadonlyMap<string, readonly Copy[]>,
): Pick<PartitionReplay, 'canonical' | 'conflicts'> {
  let rows = 0
  let sum = 0
  let xor = 0
  let conflicts = 0
  for (const copies of identities.values()) {
    const losing = new Set(conflictsAmong(copies).map(({ copy }) => copy))
    conflicts += losing.size
    for (const copy of copies) {
      if (losing.has(copy)) continue
      rows++
      sum = addChecksums(sum, copy.crc)
      xor = (xor ^ copy.crc) >>> 0
    }
  }
  return { canonical: { rows, sum, xor }, conflicts }
}

/** Reads one record after another, keeping what belongs to the tenant and the slice. */
class Replay {
  readonly #walker = new PackWalker()
  readonly #tenant: Buffer
  readonly #slice: IdentitySlice
  readonly #partition: number

  constructor(tenant: TenantId, slice: IdentitySlice, partition: number) {
    this.#tenant = Buffer.from(tenant)
    this.#slice = slice
    this.#partition = partition
  }

  judge(record: LogRecord): { readonly events: number; readonly copies: readonly Copy[] } {
    const walker = this.#walker
    const copies: Copy[] = []
    walker.open(record.value)
    while (walker.next()) {
      const bytes = Buffer.from(record.value.buffer, record.value.byteOffset, record.value.length)
      if (!bytes.subarray(walker.tenantStart, walker.tenantEnd).equals(this.#tenant)) continue
      const copy = this.#copyOf(bytes, record.offset)
      if (isInSlice(copy, this.#slice)) copies.push(copy)
    }
    return { events: walker.index + 1, copies }
  }

  #copyOf(bytes: Buffer, offset: number): Copy {
    const walker = this.#walker
    const text = (start: number, end: number): string => bytes.toString('utf8', start, end)
    const row = {
      source: text(walker.sourceStart, walker.sourceEnd),
      id: text(walker.idStart, walker.idEnd),
      type: text(walker.typeStart, walker.typeEnd),
      subject: text(walker.subjectStart, walker.subjectEnd),
      timeMs: walker.timeMs,
      partition: this.#partition,
      offset,
      index: walker.index,
    }
    const properties: [string, string][] = []
    for (let i = 0; i < 4 * walker.propertyCount; i += 4) {
      const [from = 0, to = 0, start = 0, end = 0] = walker.properties.subarray(i, i + 4)
      properties.push([text(from, to), text(start, end)])
    }
    return { ...row, crc: rowChecksum(row, properties, walker.ingestedAtMs) }
  }
}

function isInSlice({ source, id }: CopyRow, { of, index }: IdentitySlice): boolean {
  return of === 1 || crc32(`${source}\0${id}`) % of === index
}

/** The SQL twin of `isInSlice`. */
export const SLICE_SQL = "CRC32(concat(source, '\\0', id)) % {of:UInt32} = {index:UInt32}"

function rowChecksum(
  row: CopyRow,
  properties: readonly (readonly [string, string])[],
  ingestedAtMs: number,
): number {
  const sorted = properties
    .map((pair) => pair.join('\x01'))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const { source, id, type, subject, timeMs, offset, index } = row
  return crc32([source, id, type, subject, timeMs, offset, index, ingestedAtMs, ...sorted].join('\0'))
}

/** The SQL twin of `rowChecksum`, over columns of `usage_events`. */
export const ROW_CHECKSUM_SQL = `CRC32(arrayStringConcat(arrayConcat(
  [toString(source), id, toString(type), subject, toString(toUnixTimestamp64Milli(ts)), toString(ko), toString(ki), toString(toUnixTimestamp64Milli(ingested_at))],
  arraySort(arrayMap(key -> concat(key, '\\x01', props[key]), mapKeys(props)))), '\\0'))`
