/** Times and bounds of the Kafka log. Each can be set for tests; production runs on these. */
export interface KafkaLogSettings {
  readonly connectMsMax: number
  /** Longest wait for an answer. A connection whose answer is later is closed: the request is in doubt. */
  readonly requestMsMax: number
  /** After the first fault of a batch it is sent again, same bytes to the same partition, for this long. */
  readonly appendRetryMsMax: number
  /** Values that wait for their acknowledgement; an append beyond is refused. */
  readonly pendingBytesMax: number
  /** Longest time that questions (offsets, topics, coordinators) are asked again. */
  readonly askMsMax: number
  /** A fetch at the end of a partition is answered after this long. */
  readonly fetchWaitMs: number
  /**
   * The group gives the partitions of a member away that was not heard of for this long: so long does a process wait that
   * starts after it was killed. Heartbeats do not depend on handlers, so it can be as short as brokers allow by default.
   */
  readonly sessionMsMax: number
  readonly heartbeatIntervalMs: number
  /** How long a rebalance waits for handlers to end. */
  readonly rebalanceMsMax: number
  /** A loop of a consumer that gave no sign of life for this long is a fault. */
  readonly stallMsMax: number
  /** A handler that runs for this long is a fault. */
  readonly handlerMsMax: number
  /** The first pause after a consumer's handler failed; it doubles with each failure in a row. */
  readonly retryPauseMs: number
}

export const KAFKA_LOG_SETTINGS: KafkaLogSettings = {
  connectMsMax: 2000,
  requestMsMax: 5000,
  appendRetryMsMax: 2000,
  pendingBytesMax: 64 * 1024 * 1024,
  askMsMax: 10_000,
  fetchWaitMs: 500,
  sessionMsMax: 6000,
  heartbeatIntervalMs: 1000,
  rebalanceMsMax: 60_000,
  stallMsMax: 60_000,
  handlerMsMax: 600_000,
  retryPauseMs: 200,
}

/** The longest pause between two deliveries of a batch whose handler fails. */
export const RETRY_PAUSE_MS_MAX = 5000
/** Bytes of records in one batch on the wire. Kafka's default bound is 1,048,588 with everything around them. */
export const WIRE_BATCH_BYTES_MAX = 1_000_000
/** What one record costs beside its value: lengths, deltas and flags, at their largest. */
export const RECORD_OVERHEAD_BYTES = 32
/** The bound that topics are made with. */
export const TOPIC_MESSAGE_BYTES_MAX = 1_048_588
/** Bytes of one produce request to one broker. */
export const PRODUCE_BYTES_MAX = 16 * 1024 * 1024
