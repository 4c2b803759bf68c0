import { semanticsAccess } from './semantics-access.ts'
import { semanticsMoney } from './semantics-money.ts'
import { semanticsPrices } from './semantics-prices.ts'
import { semanticsProration } from './semantics-proration.ts'
import { semanticsTime } from './semantics-time.ts'
import { excludedBy, type Mapping } from './vector.ts'

/** Whole subjects that the product does not have. There is no value of ours to state. */
function notInThisRelease(subject: string): Mapping {
  return (vector) => {
    vector.describes('input')
    return excludedBy(`policy: not part of this release: ${subject}`, null)
  }
}

const WHOLE_RESERVATIONS =
  'policy: a reservation is granted whole or not at all, and settled once: work is not let in for a part of what it asks'

/** The source grants what is left, and renews a reservation step by step. */
const mapReservation: Mapping = (vector) => {
  vector.describes('input')
  return excludedBy(WHOLE_RESERVATIONS, 'refused where less is left than is asked for')
}

/** By the vector's `topic`. */
export const semanticsMappings: Readonly<Record<string, Mapping>> = {
  ...semanticsPrices,
  ...semanticsTime,
  ...semanticsProration,
  ...semanticsMoney,
  ...semanticsAccess,
  mrr: notInThisRelease('recurring revenue metrics'),
  deferred_revenue: notInThisRelease('revenue recognition'),
  revenue_recognition: notInThisRelease('revenue recognition'),
  dunning_condition: notInThisRelease('dunning'),
  dunning_schedule: notInThisRelease('dunning'),
  timeline: notInThisRelease('dunning'),
  reconciliation: notInThisRelease('payment gateways'),
  refund: notInThisRelease('payment gateways'),
  quota_reservation: mapReservation,
}
