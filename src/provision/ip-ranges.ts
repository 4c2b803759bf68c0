import { BlockList, isIP } from 'node:net'

const CIDR = /^(?<address>[^/]+)(?:\/(?<bits>\d{1,3}))?$/

/** Whether text is an address or a CIDR range of IPv4 or IPv6: `10.0.0.0/8`, `2001:db8::1`. */
export function isIpRange(text: string): boolean {
  return parse(text) !== null
}

/** A test of addresses against ranges. IPv4 addresses that come mapped into IPv6 are seen as IPv4. */
export function compileIpRanges(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const text of ranges) {
    const range = parse(text)
    if (range === null) throw new RangeError(`not a CIDR range: ${text}`)
    list.addSubnet(range.address, range.bits, range.family)
  }
  return (address) => {
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}

function parse(text: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | null {
  const { address = '', bits } = CIDR.exec(text)?.groups ?? {}
  const family = isIP(address)
  if (family === 0) return null
  const bitsMax = family === 4 ? 32 : 128
  const prefix = bits === undefined ? bitsMax : Number(bits)
  return prefix <= bitsMax ? { address, bits: prefix, family: family === 4 ? 'ipv4' : 'ipv6' } : null
}
