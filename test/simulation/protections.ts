/** What keeps events from being lost or counted twice. The suite shows for each that it is needed. */
export interface Protections {
  /** I5: rows of one key are one row. */
  readonly unitesKeys: boolean
  /** I5: of equal keys the smallest coordinate stays. */
  readonly firstWins: boolean
  /** I3: a write is acknowledged when it would survive a power loss. */
  readonly syncsWrites: boolean
  /** I3: the journal says that rows are durable after they are. */
  readonly journalAfterRows: boolean
  /** I3: a writer goes on where the journal ends, not where somebody committed. */
  readonly resumesAtJournal: boolean
  /** I3: positions are committed after the journal. */
  readonly commitsAfterJournal: boolean
  /** I3: a record that is not the next one halts its partition. */
  readonly checksContiguity: boolean
  /** I3: a failed write is written again; it is not taken for written. */
  readonly repeatsFailedWrites: boolean
  /** I2: all copies of an identity are in one partition. */
  readonly placesByIdentity: boolean
}

export const ALL_PROTECTIONS: Protections = {
  unitesKeys: true,
  firstWins: true,
  syncsWrites: true,
  journalAfterRows: true,
  resumesAtJournal: true,
  commitsAfterJournal: true,
  checksContiguity: true,
  repeatsFailedWrites: true,
  placesByIdentity: true,
}

/** How often something goes wrong; all of it stops when the liveness phase begins. */
export interface Faults {
  isOn: boolean
  noSpace: boolean
}
