/** A message that does not follow the wire format of Protocol Buffers. */
export class MalformedMessage extends Error {
  constructor(detail: string) {
    super(detail)
    this.name = 'MalformedMessage'
  }
}

/** One field as it stands on the wire; the reader of a message knows what its bytes or number mean. */
export type Field =
  | { readonly number: number; readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly number: number; readonly kind: 'varint'; readonly value: bigint }
  /** Of 32 or 64 fixed bits: none of our messages reads one. */
  | { readonly number: number; readonly kind: 'fixed' }

/**
 * The fields of a message in their order, as in "Encoding" of the Protocol Buffers documentation. Fields that nobody
 * asks for are passed over by the caller; groups, which proto3 does not have, are refused.
 * @throws MalformedMessage
 */
export function* fieldsOf(message: Buffer): Generator<Field> {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at++]
      if (byte === undefined) throw new MalformedMessage('The message ends within a number.')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value & 0xffff_ffff_ffff_ffffn
    }
    throw new MalformedMessage('A number is longer than ten bytes.')
  }
  /** Tags and lengths are short: they stay clear of BigInt. */
  const short = (): number => {
    const byte = message[at]
    if (byte !== undefined && byte < 0x80) {
      at++
      return byte
    }
    const value = varint()
    if (value > 0xffff_ffffn) throw new MalformedMessage('A tag or a length has more than 32 bits.')
    return Number(value)
  }
  const skip = (length: number): number => {
    const from = at
    at += length
    if (at > message.length) throw new MalformedMessage('The message ends within a field.')
    return from
  }
  while (at < message.length) {
    const tag = short()
    const number = tag >>> 3
    if (number === 0) throw new MalformedMessage('There is no field 0.')
    switch (tag & 7) {
      case 0:
        yield { number, kind: 'varint', value: varint() }
        break
      case 1:
        skip(8)
        yield { number, kind: 'fixed' }
        break
      case 2: {
        const from = skip(short())
        yield { number, kind: 'bytes', bytes: message.subarray(from, at) }
        break
      }
      case 5:
        skip(4)
        yield { number, kind: 'fixed' }
        break
      default:
        throw new MalformedMessage(`The field ${number} has a kind that proto3 does not have.`)
    }
  }
}

/** The last field of a number wins, as for every field that is not repeated; null where there is none. */
export function bytesOf(message: Buffer, number: number): Buffer | null {
  let found: Buffer | null = null
  for (const field of fieldsOf(message)) {
    if (field.number === number && field.kind === 'bytes') found = field.bytes
  }
  return found
}

/** An entry of a `map<string, string>`, or any message with a text in field 1 and another in field 2. */
export function pairOf(message: Buffer): readonly [string, string] {
  let [key, value] = ['', '']
  for (const field of fieldsOf(message)) {
    if (field.kind !== 'bytes') continue
    if (field.number === 1) key = field.bytes.toString('utf8')
    else if (field.number === 2) value = field.bytes.toString('utf8')
  }
  return [key, value]
}

/** A field with a whole number of at least 0. A zero is what is not sent. */
export function varintField(number: number, value: bigint | number): Buffer {
  return value === 0 || value === 0n
    ? EMPTY
    : Buffer.from([...varintBytes(number * 8), ...varintBytes(value)])
}

export function bytesField(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([...varintBytes(number * 8 + 2), ...varintBytes(bytes.length)]), bytes])
}

export function textField(number: number, text: string): Buffer {
  return text === '' ? EMPTY : bytesField(number, Buffer.from(text, 'utf8'))
}

export function messageOf(...fields: readonly Buffer[]): Buffer {
  return Buffer.concat(fields)
}

const EMPTY = Buffer.alloc(0)

function varintBytes(value: bigint | number): number[] {
  const bytes: number[] = []
  let rest = BigInt(value)
  if (rest < 0n) throw new RangeError('only whole numbers of at least 0 are written')
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return bytes
}
