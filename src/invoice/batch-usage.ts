import type { SubjectId, TenantId } from '../id/ids.ts'
import { add, decimal, toText, ZERO } from '../money/decimal.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { UsageAtCut, UsageAtCutRow, UsageSource } from './ports.ts'
import type { UsageBySubject } from './bill-run-ports.ts'
import type { UsageQuestion } from './usage-question.ts'

/**
 * Answers many customers' questions from few: those of one meter and span are asked together, by subject. What cannot be
 * put together from subjects (unique counts, averages over several) is asked by itself.
 */
export async function answerTogether(
  questions: readonly UsageQuestion[],
  tenant: TenantId,
  cut: Cut,
  bySubject: UsageBySubject,
  single: Pick<UsageSource, 'usageAtCut'>,
): Promise<Pick<UsageSource, 'usageAtCut'>> {
  const groups = new Map<string, UsageAtCut & { readonly subjects: SubjectId[] }>()
  for (const { meter, slices, groupBy } of questions) {
    for (const { subjects, interval } of slices) {
      const question = { tenant, meter, interval, groupBy, cut, subjects }
      if (!isTogether(question)) continue
      const key = spanKey(question)
      const group = groups.get(key) ?? { ...question, subjects: [] }
      group.subjects.push(...subjects)
      groups.set(key, group)
    }
  }
  const answers = new Map<string, ReadonlyMap<SubjectId, readonly UsageAtCutRow[]>>()
  for (const [key, group] of groups) {
    const rows = await bySubject.usageBySubject({ ...group, subjects: [...new Set(group.subjects)] })
    answers.set(
      key,
      Map.groupBy(rows, ({ subject }) => subject),
    )
  }
  return {
    usageAtCut: async (question) => {
      const answer = isTogether(question) ? answers.get(spanKey(question)) : undefined
      if (answer === undefined) return single.usageAtCut(question)
      return united(
        question,
        question.subjects.flatMap((subject) => answer.get(subject) ?? []),
      )
    },
  }
}

function isTogether({ meter, subjects }: UsageAtCut): boolean {
  return subjects.length === 1 || meter.aggregation === 'sum' || meter.aggregation === 'count'
}

function spanKey({ meter, interval, groupBy }: UsageAtCut): string {
  return JSON.stringify([meter.key, meter.revision, interval.start, interval.end, groupBy])
}

/** The rows of one or of several subjects as one answer; without groups exactly one row, also of no events. */
function united(
  { meter, groupBy, subjects }: UsageAtCut,
  rows: readonly UsageAtCutRow[],
): readonly UsageAtCutRow[] {
  const isAdded = meter.aggregation === 'sum' || meter.aggregation === 'count'
  if (groupBy.length === 0 && rows.length === 0)
    return [{ group: {}, value: isAdded ? '0' : null, events: 0 }]
  if (subjects.length === 1) return rows
  const groups = Map.groupBy(rows, ({ group }) => JSON.stringify(groupBy.map((name) => group[name] ?? '')))
  return [...groups.values()].map((parts) => ({
    group: parts[0]?.group ?? {},
    value: toText(parts.reduce((sum, { value }) => add(sum, value === null ? ZERO : decimal(value)), ZERO)),
    events: parts.reduce((sum, { events }) => sum + events, 0),
  }))
}
