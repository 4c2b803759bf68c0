/** A row of `usage_events`, as an engine would read it from the bytes. */
export interface SimRow {
  readonly source: string
  readonly id: string
  readonly type: string
  readonly subject: string
  readonly timeMs: number
  readonly value: string
  readonly partition: number
  readonly offset: number
  readonly index: number
  readonly version: bigint
}

/** Reads RowBinary of the event columns: tenant, source, id, type, subject, ts, props, tp, kp, ko, ki, ver, ingested_at. */
export function readRows(chunks: readonly Uint8Array[]): readonly SimRow[] {
  const bytes = Buffer.concat(chunks)
  const rows: SimRow[] = []
  let at = 0
  const count = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes.readUInt8(at++)
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  const text = (): string => {
    const length = count()
    at += length
    return bytes.toString('utf8', at - length, at)
  }
  const uint16 = (): number => bytes.readUInt16LE((at += 2) - 2)
  const int64 = (): bigint => bytes.readBigInt64LE((at += 8) - 8)
  while (at < bytes.length) {
    text()
    const source = text()
    const id = text()
    const type = text()
    const subject = text()
    const timeMs = Number(int64())
    const properties = new Map<string, string>()
    for (let left = count(); left > 0; left--) {
      const name = text()
      properties.set(name, text())
    }
    uint16()
    const partition = uint16()
    const offset = Number(int64())
    const index = uint16()
    const version = bytes.readBigUInt64LE((at += 8) - 8)
    int64()
    rows.push({
      ...{ source, id, type, subject },
      ...{ timeMs, value: properties.get('tokens') ?? '', partition, offset, index, version },
    })
  }
  return rows
}
