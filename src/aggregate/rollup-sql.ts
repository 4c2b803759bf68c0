import type { RolledMinutes } from './rolled.ts'
import type { Params } from './usage-sql.ts'
import type { UsageQuestion } from './usage-statement.ts'

export function rollupParts(_params: Params, _question: UsageQuestion, _rolled: RolledMinutes): string {
  throw new Error('unused')
}
