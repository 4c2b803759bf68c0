import type { Config } from '../config.ts'
import type { Seller } from '../invoice/document.ts'

/** Who sends the invoices, from the settings. */
export function sellerOf(seller: Config['seller']): Seller {
  return {
    name: seller.name,
    addressLines: seller.addressLines ?? [],
    taxId: seller.taxId,
    email: seller.email,
    paymentTermsDays: seller.paymentTermsDays,
    paymentLines: seller.paymentLines ?? [],
  }
}
