import { readFileSync } from 'node:fs'
import avro from 'avsc'
import type { AppendOutcome, AppendRecord, EventLog } from '../../src/usage/event-log.ts'

export interface DecodedEvent {
  tenant: string
  source: string
  id: string
  type: string
  subject: string
  time: number
  properties: Record<string, string>
}

export interface DecodedPack {
  ingestedAt: number
  events: DecodedEvent[]
}

export const packType = avro.Type.forSchema(
  JSON.parse(readFileSync('schemas/avro/usage-pack.v1.avsc', 'utf8')) as avro.Schema,
)

/** A record of the event topic, decoded by an Avro library that knows nothing of our encoder. */
export function decodePack(record: Uint8Array): DecodedPack {
  const bytes = Buffer.from(record)
  if (bytes.readUInt8(0) !== 0 || bytes.readUInt32BE(1) !== 1) throw new Error('not framed as schema 1')
  return packType.fromBuffer(bytes.subarray(5)) as DecodedPack
}

type Fate = 'appended' | 'failed' | 'indefinite' | 'throws'

/** An append-only log in memory whose appends wait, or fail, as a test says. */
export interface ScriptedLog extends Pick<EventLog, 'append'> {
  /** By partition, in order of offset: what is on the log. */
  readonly records: Uint8Array[][]
  /** Sizes of the appends so far, in records. */
  readonly appends: number[]
  /** From now on appends wait for `release`. */
  hold(): void
  /** Lets the append that waits, and those after it, go on. */
  release(): void
  /** The fate of the records of the next append, by partition; the rest is appended. */
  failNext(fate: (partition: number) => Fate): void
  /** Resolves when an append waits. */
  untilHeld(): Promise<void>
  events(): DecodedEvent[]
}

export function createScriptedLog(partitions = 8): ScriptedLog {
  const records: Uint8Array[][] = Array.from({ length: partitions }, () => [])
  const appends: number[] = []
  let gate: { readonly opened: Promise<void>; readonly open: () => void } | null = null
  let isHeld = false
  let onHeld: (() => void)[] = []
  let nextFate: ((partition: number) => Fate) | null = null
  let isBusy = false
  return {
    records,
    appends,
    hold() {
      let open: () => void = () => undefined
      const opened = new Promise<void>((resolve) => {
        open = resolve
      })
      gate = { opened, open }
    },
    release() {
      gate?.open()
      gate = null
    },
    failNext(fate) {
      nextFate = fate
    },
    async untilHeld() {
      if (isHeld) return
      await new Promise<void>((resolve) => onHeld.push(resolve))
    },
    events: () => records.flat().flatMap((record) => decodePack(record).events),
    async append(_topic: string, batch: readonly AppendRecord[]): Promise<readonly AppendOutcome[]> {
      if (isBusy) throw new Error('two appends in flight')
      isBusy = true
      appends.push(batch.length)
      if (gate !== null) {
        isHeld = true
        for (const resolve of onHeld) resolve()
        onHeld = []
        await gate.opened
        isHeld = false
      }
      await Promise.resolve()
      isBusy = false
      const fateOf = nextFate
      nextFate = null
      if (fateOf !== null && batch.some(({ partition }) => fateOf(partition) === 'throws')) {
        throw new Error('the log is away')
      }
      return batch.map(({ partition, value }) => {
        const fate = fateOf?.(partition) ?? 'appended'
        if (fate === 'failed') return { kind: 'failed', partition, reason: 'scripted', indefinite: false }
        // The bytes are copied: whoever appends may use the memory again.
        const offset = (records[partition]?.push(Uint8Array.from(value)) ?? 0) - 1
        return fate === 'indefinite'
          ? { kind: 'failed', partition, reason: 'scripted', indefinite: true }
          : { kind: 'appended', partition, offset }
      })
    },
  }
}
