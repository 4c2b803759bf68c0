/** How far a consumer of this process is behind, for one partition it is assigned. */
export interface ConsumerLag {
  readonly group: string
  readonly topic: string
  readonly partition: number
  /** Records that are durable on the log and whose handler has not finished. */
  readonly records: number
  /** Age of the oldest of them; 0 when there is none. */
  readonly seconds: number
}

/** What an implementation of the log reports. All calls are cheap: once an append, once a batch, never once an event. */
export interface LogMetrics {
  /** One append of one topic has settled: how long it took, what it carried, how many of its records failed. */
  appended(append: {
    readonly topic: string
    readonly seconds: number
    readonly records: number
    readonly bytes: number
    readonly failedRecords: number
  }): void
  /** Records were sent again, because the first attempt failed or was in doubt. */
  appendRetried(topic: string, records: number): void
  /** A batch was handed to its consumer and the handler has finished or thrown. */
  delivered(delivery: {
    readonly group: string
    readonly topic: string
    readonly records: number
    readonly isHandled: boolean
  }): void
  /** Partitions of the group were handed out anew. */
  rebalanced(group: string): void
  /** Asked at each scrape. */
  observeLag(lag: () => readonly ConsumerLag[]): void
  /** Asked at each scrape: bytes of the log's files, and bytes still free where they lie. Embedded log only. */
  observeDisk(disk: () => { readonly usedBytes: number; readonly freeBytes: number }): void
}

/** For commands and tests that nobody scrapes. */
export const noLogMetrics: LogMetrics = {
  appended: () => undefined,
  appendRetried: () => undefined,
  delivered: () => undefined,
  rebalanced: () => undefined,
  observeLag: () => undefined,
  observeDisk: () => undefined,
}
