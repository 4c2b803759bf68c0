import type { z } from '@hono/zod-openapi'
import { JsonReader, member } from '../catalog/json-reader.ts'
import type { TenantId } from '../id/ids.ts'
import type { Instant } from '../time/instant.ts'
import { type MeterDefinition, parseMeter } from '../usage/meter-parse.ts'
import { type JudgedSample, judgeSample, quantityOfSamples } from '../usage/meter-sample.ts'
import type { meterTestAnswerShape } from './meter-shapes.ts'
import type { Fault } from './problem.ts'
import { readSampleEvents, type SampleEvent } from './sample-events.ts'

type MeterTestOutcome =
  | { readonly kind: 'tested'; readonly answer: z.infer<typeof meterTestAnswerShape> }
  | { readonly kind: 'faulty'; readonly faults: readonly Fault[] }

const samplesMax = 1000

/**
 * Judges `{meter, events}`: the events are read by the ingest stage, the values as the usage store reads them.
 * @param text the body as it came: numbers must not have gone through a double
 */
export async function testMeter(text: string, tenant: TenantId, now: Instant): Promise<MeterTestOutcome> {
  const body: unknown = JSON.parse(text)
  const reader = new JsonReader()
  const object = reader.object(body, '', ['meter', 'events'])
  if (object === null) return { kind: 'faulty', faults: reader.faults }
  const events = reader.list(object, 'events', '')
  if (events.length > samplesMax) {
    reader.fault('invalidRequest', '/events', `must list at most ${samplesMax}`)
  }
  for (const [index, event] of events.entries()) {
    if (typeof event === 'object' && event !== null && !Array.isArray(event)) continue
    reader.fault('invalidRequest', member('/events', index), 'must be an object: a CloudEvent')
  }
  const parsed = parseMeter(object['meter'], '/meter')
  if (parsed.kind === 'faulty') return { kind: 'faulty', faults: [...reader.faults, ...parsed.faults] }
  if (reader.faults.length > 0) return { kind: 'faulty', faults: reader.faults }
  const samples = await readSampleEvents(tenant, eventTexts(text), now)
  const judged = samples.map((sample) => judge(parsed.definition, sample))
  return { kind: 'tested', answer: answerOf(parsed.definition, samples, judged) }
}

/** Each event as JSON again, every number in the digits that it was sent with. */
function eventTexts(text: string): readonly string[] {
  const { events } = JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' && context?.source !== undefined ? rawJson(context.source) : value,
  ) as { readonly events: readonly unknown[] }
  return events.map((event) => JSON.stringify(event))
}

/** ES2026; Node has it, TypeScript's es2024 does not say so. */
const { rawJSON: rawJson } = JSON as unknown as { readonly rawJSON: (text: string) => unknown }

function judge(meter: MeterDefinition, sample: SampleEvent): JudgedSample {
  switch (sample.kind) {
    case 'taken':
      return judgeSample(meter, sample.event)
    case 'duplicate':
      return nothing(
        'duplicate',
        'An event with the same source and id stands before it; the first copy counts.',
      )
    case 'rejected':
      return nothing('rejected', sample.detail)
  }
}

function nothing(standing: 'duplicate' | 'rejected', detail: string): JudgedSample {
  return { standing, value: null, group: null, detail }
}

function answerOf(
  meter: MeterDefinition,
  samples: readonly SampleEvent[],
  judged: readonly JudgedSample[],
): z.infer<typeof meterTestAnswerShape> {
  const values = judged.flatMap(({ standing, value }, index) => {
    const sample = samples[index]
    return standing === 'counted' && value !== null && sample?.kind === 'taken'
      ? [{ text: value, time: sample.event.time }]
      : []
  })
  return {
    value: quantityOfSamples(meter, values),
    counted: values.length,
    unusable: judged.filter(({ standing }) => standing === 'unusable').length,
    events: judged.map((one, index) => ({
      index,
      id: samples[index]?.id ?? null,
      standing: one.standing,
      value: one.value,
      group: one.group === null ? null : { ...one.group },
      detail: one.detail,
    })),
  }
}
