-- One row says: all rows of the records [ko_from, ko_to) of a partition are durable in usage_events. It is written
-- after them. The journal of a partition ends where a chain of ranges that starts at 0 ends.
CREATE TABLE IF NOT EXISTS usage_journal
(
    tp           UInt16,
    kp           UInt16,
    ko_from      UInt64,
    ko_to        UInt64,
    events       UInt64,
    bytes        UInt64,
    checksum     UInt64,
    ingested_max DateTime64(3, 'UTC'),
    written_at   DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (tp, kp, ko_from, ko_to)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
         min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480;

-- For every minute and every hour of event time: up to which record of which partition events of it have arrived.
-- Written before the journal row of those records. kp 65534 and 65535 stand for what is found later: voided events
-- and conflicting copies. What a bucket holds changes only when the sum of its marks grows.
CREATE TABLE IF NOT EXISTS usage_marks
(
    tenant LowCardinality(String),
    type   LowCardinality(String),
    span   UInt32,
    bucket DateTime('UTC'),
    kp     UInt16,
    ko     UInt64
)
ENGINE = ReplacingMergeTree(ko)
PARTITION BY toYYYYMM(bucket)
ORDER BY (tenant, type, span, bucket, kp)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
         min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480;

-- Copies of an identity that have another key than its first copy, so that usage_events does not unite them: they do
-- not count. A pure function of the log, only ever added to.
CREATE TABLE IF NOT EXISTS usage_conflicts
(
    tenant   LowCardinality(String),
    source   LowCardinality(String),
    id       String,
    tp       UInt16,
    kp       UInt16,
    ko       UInt64,
    ki       UInt16,
    type     LowCardinality(String),
    ts       DateTime64(3, 'UTC'),
    subject  String,
    first_ko UInt64,
    first_ki UInt16
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant, source, id, tp, kp, ko, ki)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
         min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480;

-- How far the log has been searched for such copies, and for voided events, by tenant.
CREATE TABLE IF NOT EXISTS usage_sweeps
(
    tenant LowCardinality(String),
    kind   LowCardinality(String),
    kp     UInt16,
    ko     UInt64
)
ENGINE = ReplacingMergeTree(ko)
ORDER BY (tenant, kind, kp)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
         min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480;
