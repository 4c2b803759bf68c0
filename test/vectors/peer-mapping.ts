import { peerCommitments } from './peer-commitments.ts'
import { peerDiscounts } from './peer-discounts.ts'
import { peerPrices } from './peer-prices.ts'
import { peerTaxes } from './peer-taxes.ts'
import { peerTime } from './peer-time.ts'
import { peerUsage } from './peer-usage.ts'
import type { Mapping } from './vector.ts'

/** By the vector's `model`. */
export const peerMappings: Readonly<Record<string, Mapping>> = {
  ...peerPrices,
  ...peerDiscounts,
  ...peerTaxes,
  ...peerCommitments,
  ...peerTime,
  ...peerUsage,
}
