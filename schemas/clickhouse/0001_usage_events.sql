-- The set of events, keyed by what a row says and versioned by where it stands on the log: the smallest coordinate
-- of equal keys wins, whenever and however often a row is written. Never updated, never counted without FINAL.
-- The five durability settings: an acknowledged part is on the disk, and so is a merged one before its sources go.
CREATE TABLE IF NOT EXISTS usage_events
(
    tenant      LowCardinality(String),
    type        LowCardinality(String),
    ts          DateTime64(3, 'UTC'),
    subject     String,
    source      LowCardinality(String),
    id          String,
    props       Map(LowCardinality(String), String),
    tp          UInt16,
    kp          UInt16,
    ko          UInt64,
    ki          UInt16,
    ver         UInt64,
    ingested_at DateTime64(3, 'UTC'),
    INDEX identity_bloom id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX arrival ko TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(ts)
PRIMARY KEY (tenant, type, toStartOfMinute(ts), subject)
ORDER BY (tenant, type, toStartOfMinute(ts), subject, source, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
         min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480;
