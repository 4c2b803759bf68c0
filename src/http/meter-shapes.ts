import { z } from '@hono/zod-openapi'
import { formatInstant } from '../time/instant.ts'
import { AGGREGATIONS } from '../usage/meter.ts'
import type { RegisteredMeter } from '../usage/meter-registry.ts'
import { SAMPLE_STANDINGS } from '../usage/meter-sample.ts'
import { instantShape } from './route-parts.ts'

const definition = {
  name: z.string().openapi({ example: 'Output tokens' }),
  eventType: z.string().openapi({ example: 'llm.request' }),
  aggregation: z.enum(AGGREGATIONS),
  valueProperty: z.string().optional().openapi({
    description: 'Path of the property that is aggregated; left out for `count`.',
    example: 'usage.output',
  }),
  percentile: z
    .string()
    .optional()
    .openapi({ description: 'For `percentile`: between 0 and 1.', example: '0.95' }),
}
const groupBy = z
  .record(z.string(), z.string())
  .openapi({ description: 'Name of a dimension → path of its property.', example: { model: 'model' } })
const filters = z.record(z.string(), z.array(z.string())).openapi({
  description: 'Path of a property → the values of which an event must have one to count.',
  example: { region: ['eu', 'us'] },
})

export const meterRequestShape = z.strictObject({
  ...definition,
  groupBy: groupBy.optional(),
  filters: filters.optional(),
})

export const meterShape = z
  .object({
    key: z.string(),
    ...definition,
    groupBy,
    filters,
    revision: z
      .number()
      .int()
      .openapi({ description: 'Counts changes of what is counted; a new name is none.' }),
    createdAt: instantShape,
    updatedAt: instantShape,
  })
  .openapi('Meter')

export const meterTestShape = z.strictObject({
  meter: meterRequestShape,
  events: z
    .array(z.record(z.string(), z.unknown()))
    .openapi({ description: 'CloudEvents as they would be sent to POST /v1/events; an absent time is now.' }),
})

export const meterTestAnswerShape = z
  .object({
    value: z.string().nullable().openapi({
      description: 'What the events come to; null where the aggregation of them has no value.',
    }),
    counted: z.number().int(),
    unusable: z.number().int(),
    events: z.array(
      z.object({
        index: z.number().int(),
        id: z.string().nullable(),
        standing: z.enum(SAMPLE_STANDINGS),
        value: z.string().nullable(),
        group: z.record(z.string(), z.string()).nullable(),
        detail: z.string(),
      }),
    ),
  })
  .openapi('MeterTest')

export function meterView({ meter, createdAt, updatedAt }: RegisteredMeter): z.infer<typeof meterShape> {
  const { key, name, eventType, aggregation, valueProperty, percentile, groupBy, filters, revision } = meter
  return {
    key,
    name,
    eventType,
    aggregation,
    ...(valueProperty === undefined ? {} : { valueProperty }),
    ...(percentile === undefined ? {} : { percentile }),
    groupBy: { ...groupBy },
    filters: Object.fromEntries(Object.entries(filters).map(([path, values]) => [path, [...values]])),
    revision,
    createdAt: formatInstant(createdAt),
    updatedAt: formatInstant(updatedAt),
  }
}
