import { z } from '@hono/zod-openapi'
import type { Customer } from '../customer/customer.ts'
import { formatInstant } from '../time/instant.ts'
import { instantShape } from './route-parts.ts'

const billing = z.object({
  legalName: z.string().optional(),
  email: z.string().optional(),
  address: z
    .object({
      line1: z.string().optional(),
      line2: z.string().optional(),
      city: z.string().optional(),
      region: z.string().optional(),
      postalCode: z.string().optional(),
      country: z.string().optional().openapi({ description: 'ISO 3166-1 alpha-2.', example: 'DE' }),
    })
    .optional(),
  taxId: z.string().optional(),
  paymentTermsDays: z.number().int().optional(),
  purchaseOrder: z.string().optional(),
  taxRates: z.array(z.object({ name: z.string(), rate: z.string().openapi({ example: '0.19' }) })).optional(),
})
const members = {
  name: z.string().openapi({ example: 'Acme Inc.' }),
  currency: z.string().openapi({ description: 'ISO 4217.', example: 'USD' }),
  timezone: z.string().openapi({
    description: 'IANA. Days, months and billing periods are cut in it.',
    example: 'Europe/Berlin',
  }),
}
const subjects = z
  .array(z.string())
  .openapi({ description: 'Subjects of usage events for which the customer pays.', example: ['acme'] })

export const customerRequestShape = z.strictObject({
  ...members,
  subjects: subjects.optional().openapi({
    description: 'Subjects of usage events for which the customer pays; its own key where absent.',
  }),
  billing: billing.optional(),
  testClock: z.string().nullish().openapi({ description: 'A clock of POST /v1/test-clocks to live by.' }),
})

export const customerShape = z
  .object({
    key: z.string(),
    ...members,
    subjects,
    billing,
    testClock: z.string().nullable(),
    createdAt: instantShape,
    updatedAt: instantShape,
  })
  .openapi('Customer')

export function customerView(customer: Customer): z.infer<typeof customerShape> {
  const { key, name, subjects, currency, timezone, billing, testClock, createdAt, updatedAt } = customer
  const { taxRates, address, ...rest } = billing
  return {
    key,
    name,
    currency,
    timezone,
    subjects: [...subjects],
    billing: {
      ...rest,
      ...(address === undefined ? {} : { address: { ...address } }),
      ...(taxRates === undefined ? {} : { taxRates: taxRates.map((one) => ({ ...one })) }),
    },
    testClock,
    createdAt: formatInstant(createdAt),
    updatedAt: formatInstant(updatedAt),
  }
}
