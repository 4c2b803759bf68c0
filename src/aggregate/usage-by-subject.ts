import type { SubjectId } from '../id/ids.ts'
import { covers } from '../usage/coordinate.ts'
import type { UsageAtCutRequest, UsageAtCutRow } from '../usage/usage-query.ts'
import { UsageReadError, type UsageReaderDeps } from './usage-reader.ts'
import { askUsage } from './usage-statement.ts'

/** What an invoice counts, of many subjects in one question: a bill run asks so. Subjects without events have no row. */
export interface UsageBySubjectReader {
  /** @throws UsageReadError when the journal is before the cut */
  usageBySubject(
    request: UsageAtCutRequest,
  ): Promise<readonly (UsageAtCutRow & { readonly subject: SubjectId })[]>
}

export function createUsageBySubject({ store, journal, conflicts }: UsageReaderDeps): UsageBySubjectReader {
  return {
    async usageBySubject({ tenant, meter, subjects, interval, groupBy, cut }) {
      if (!covers(journal.ends(), cut)) {
        throw new UsageReadError('journalBehind', 'The journal has not reached the cut: wait for it first.')
      }
      await conflicts.sweep(tenant, cut)
      const question = { tenant, meter, interval, windows: [interval], subjects, owners: null, groupBy, cut }
      const rows = await askUsage(
        store,
        { ...question, byCustomer: false, bySubject: true, filters: {} },
        null,
      )
      return rows.map(({ subject, group, value, events, unusable }) => ({
        subject: subject as SubjectId,
        group,
        value,
        events,
        unusable,
      }))
    },
  }
}
