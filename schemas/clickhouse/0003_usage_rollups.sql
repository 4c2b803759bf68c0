-- What a meter's events of a minute or an hour come to, by subject and dimensions, when its marks summed to sig: a
-- function of the events, the meter's revision and sig. Rows of an earlier sig stay until they are cleaned up; no
-- reader takes them. chunk keeps what is read together close: an hour of minutes, a month of hours.
CREATE TABLE IF NOT EXISTS usage_rollups
(
    tenant   LowCardinality(String),
    meter    LowCardinality(String),
    revision UInt32,
    span     UInt32,
    chunk    DateTime('UTC'),
    subject  String,
    dims     Array(String),
    bucket   DateTime('UTC'),
    sig      UInt64,
    events   UInt64,
    unusable UInt64,
    a        Nullable(Decimal(76, 9)),
    at       Tuple(Int64, Int64, UInt16, UInt64, UInt16)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (tenant, meter, revision, span, chunk, subject, dims, bucket, sig)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
         min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480;

-- Which buckets are computed, as of which marks; written after their rows. reach: the sum of the journal's ends then.
CREATE TABLE IF NOT EXISTS usage_rolled
(
    tenant   LowCardinality(String),
    meter    LowCardinality(String),
    revision UInt32,
    span     UInt32,
    bucket   DateTime('UTC'),
    sig      UInt64,
    reach    UInt64
)
ENGINE = ReplacingMergeTree(sig)
PARTITION BY toYYYYMM(bucket)
ORDER BY (tenant, meter, revision, span, bucket)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
         min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480;
