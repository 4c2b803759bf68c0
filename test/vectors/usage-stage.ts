import { AGGREGATIONS, type Aggregation } from '../../src/usage/meter.ts'
import { instantOf } from '../../src/time/instant.ts'
import { aMeter, openStage, type Stage, temporaryDirectory } from '../support/aggregating.ts'
import { aUsageEvent, NOON } from '../support/usage-packs.ts'

interface OpenStage {
  readonly stage: Stage
  readonly remove: () => void
}

let opened: Promise<OpenStage> | null = null
let questions = 0

async function open(): Promise<OpenStage> {
  const { path, remove } = temporaryDirectory('vectors')
  return { stage: await openStage(path), remove }
}

/**
 * What a meter says of events with these values, a second apart in their order: through the log, the store and the reader.
 * @param values null is an event without the value
 */
export async function meterValue(
  aggregation: Aggregation,
  values: readonly (string | null)[],
): Promise<string | null> {
  if (!AGGREGATIONS.includes(aggregation)) throw new Error(`no aggregation ${aggregation}`)
  opened ??= open()
  const { stage } = await opened
  const eventType = `vector.${String(++questions)}`
  await stage.accept(
    ...values.map((value, i) =>
      aUsageEvent({
        id: `${eventType}-${String(i)}`,
        type: eventType,
        time: instantOf(NOON + i * 1000),
        properties: value === null ? {} : { value },
      }),
    ),
  )
  const meter = aMeter({ aggregation, eventType, groupBy: {}, valueProperty: 'value' })
  const { rows } = await stage.usage(meter)
  return rows[0]?.value ?? null
}

/** Ends what `meterValue` has started. */
export async function closeUsageStage(): Promise<void> {
  if (opened === null) return
  const { stage, remove } = await opened
  opened = null
  await stage.close()
  remove()
}
