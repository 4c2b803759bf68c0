import type { PartitionJournal } from './journal.ts'
import type { UsageSink } from './sink.ts'

/** Ranges of a partition's journal from which on a summing row is written: reading it then begins there. */
export const JOURNAL_RANGES_MAX = 500

/** Reads the journal and sums up the prefixes that have become long. A sum says what its ranges say. */
export async function sumLongJournals(
  sink: Pick<UsageSink, 'readJournal' | 'writeJournal'>,
  nowMs: number,
): Promise<readonly PartitionJournal[]> {
  const journal = await sink.readJournal()
  const long = journal.filter(({ ranges, end }) => ranges > JOURNAL_RANGES_MAX && end > 0)
  if (long.length > 0) {
    await sink.writeJournal(
      long.map(({ partition, end, events, bytes, checksum }) => ({
        ...{ partition, from: 0, to: end, events, bytes, checksum },
        ingestedMaxMs: nowMs,
      })),
      nowMs,
    )
  }
  return journal
}
