/** What the demo sells, as it is sent to the API: a company that sells an LLM by the token. */
export const CUSTOMER = 'acme'
export const EVENT_TYPE = 'llm.request'
export const PLAN = 'llm-api'
export const QUOTA = 'output-tokens'
export const QUOTA_LIMIT = 200_000n
/** Counts events, so it also tells when everything that was sent has been counted. */
export const COUNTING_METER = 'requests'

export const METERS = {
  input_tokens: {
    name: 'Input tokens',
    eventType: EVENT_TYPE,
    aggregation: 'sum',
    valueProperty: 'contextTokens',
  },
  output_tokens: {
    name: 'Output tokens',
    eventType: EVENT_TYPE,
    aggregation: 'sum',
    valueProperty: 'generatedTokens',
  },
  [COUNTING_METER]: { name: 'Requests', eventType: EVENT_TYPE, aggregation: 'count' },
} as const

export const PLAN_BODY = {
  name: 'LLM API',
  currency: 'USD',
  interval: 'month',
  prices: [
    { key: 'base', name: 'Base fee', payment: 'inArrears', price: { model: 'flat', amount: '20.00' } },
    {
      key: 'input-tokens',
      name: 'Input tokens',
      meter: 'input_tokens',
      payment: 'inArrears',
      price: {
        model: 'graduated',
        tiers: [
          { upTo: '1000000', unitAmount: '0' },
          { upTo: '10000000', unitAmount: '0.0000025' },
          { upTo: null, unitAmount: '0.000002' },
        ],
      },
    },
    {
      key: 'output-tokens',
      name: 'Output tokens',
      meter: 'output_tokens',
      payment: 'inArrears',
      price: {
        model: 'volume',
        tiers: [
          { upTo: '100000', unitAmount: '0.000012' },
          { upTo: '1000000', unitAmount: '0.00001' },
          { upTo: null, unitAmount: '0.000008' },
        ],
      },
    },
    {
      key: 'requests',
      name: 'Requests',
      meter: COUNTING_METER,
      payment: 'inArrears',
      price: { model: 'package', packageSize: '1000', amount: '0.50' },
    },
  ],
} as const

export const QUOTA_BODY = {
  meter: 'output_tokens',
  unit: 'token',
  limit: String(QUOTA_LIMIT),
  period: 'month',
  mode: 'observed',
  ladder: [
    { at: '0.8', action: 'notify' },
    { at: '1', action: 'suspend' },
  ],
  onUnavailable: 'open',
} as const
