/** Names of the topics; a breaking change of what is in one makes a new name. */
export const TOPIC_EVENTS = 'usage.events.v1'
/** What the aggregator has made countable: see `observed.ts`. One partition. */
export const TOPIC_OBSERVED = 'usage.observed.v1'
/** State of API keys, one JSON document a record, the higher `version` wins. One partition. */
export const TOPIC_KEY_STATE = 'key.state.v1'
/** Changes of what the event path must know: meters, subjects of customers, test clocks. One partition. */
export const TOPIC_DIRECTORY = 'directory.state.v1'

/** Partitions of the event topic. Fixed for an epoch: an identity must never change its partition. */
export const EVENT_PARTITIONS = 8
export const TOPIC_EPOCH = 1
