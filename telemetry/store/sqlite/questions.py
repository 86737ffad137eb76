"""What is asked in SQL: constant texts, every value bound beside them."""

from telemetry.store import Aggregate

SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    site TEXT NOT NULL, device TEXT NOT NULL, measurement TEXT NOT NULL,
    UNIQUE (site, device, measurement)
) STRICT;
CREATE TABLE IF NOT EXISTS reading (
    series_id INTEGER NOT NULL REFERENCES series (id),
    time_ms INTEGER NOT NULL,
    boot_ms INTEGER, seq INTEGER,
    fields TEXT NOT NULL,
    PRIMARY KEY (series_id, time_ms)
) STRICT, WITHOUT ROWID;
"""
FIELD_SCHEMA = """
CREATE TABLE IF NOT EXISTS field (
    measurement TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
    PRIMARY KEY (measurement, name, type)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO field SELECT measurement, key, CASE type
        WHEN 'true' THEN 'boolean' WHEN 'false' THEN 'boolean' WHEN 'text' THEN 'text'
        ELSE 'number' END
    FROM series CROSS JOIN reading ON series_id = series.id, json_each(fields);
"""
HAS_FIELDS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'field'"
FIELDS = "SELECT measurement, name, type FROM field ORDER BY measurement, name, type"
NEW_FIELD = "INSERT OR IGNORE INTO field (measurement, name, type) VALUES (?, ?, ?)"
SERIES = """
SELECT site, device, measurement, (SELECT max(time_ms) FROM reading WHERE series_id = id)
FROM series ORDER BY site, device, measurement
"""
INSERT = """
INSERT INTO reading (series_id, time_ms, boot_ms, seq, fields) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (series_id, time_ms) DO UPDATE SET
    boot_ms = coalesce(excluded.boot_ms, boot_ms),
    seq = coalesce(excluded.seq, seq),
    fields = json_patch(fields, excluded.fields)
"""
_SERIES = "(:site IS NULL OR site = :site) AND (:device IS NULL OR device = :device)"
_SELECTED = f"""{_SERIES} AND (:measurement IS NULL OR measurement = :measurement)
    AND (:except_site IS NULL OR site != :except_site)
    AND time_ms >= :start_ms AND time_ms < :stop_ms"""
_ROWS = "site, device, measurement, time_ms, fields, boot_ms, seq"
LATEST = f"""
SELECT {_ROWS} FROM series JOIN reading ON series_id = id AND time_ms =
    (SELECT max(time_ms) FROM reading WHERE series_id = id)
WHERE {_SERIES} ORDER BY site, device, measurement
"""
_HAS_FIELD = """(:fields IS NULL OR EXISTS (SELECT 1 FROM json_each(reading.fields)
    WHERE key IN (SELECT value FROM json_each(:fields))))"""
READINGS = f"""
SELECT {_ROWS} FROM series CROSS JOIN reading ON series_id = id
WHERE {_SELECTED} AND {_HAS_FIELD} ORDER BY time_ms %s LIMIT :limit
"""
COUNT_READINGS = """
SELECT site, device, measurement,
    (SELECT count(*) FROM reading WHERE series_id = id AND time_ms >= ? AND time_ms < ?) AS readings
FROM series WHERE readings > 0 ORDER BY site, device, measurement
"""
# First and last by time need the whole interval in order; the others one pass.
AGGREGATES: dict[Aggregate, str] = {
    "mean": "avg(value)",
    "min": "min(value)",
    "max": "max(value)",
    "sum": "sum(value)",
    "count": "count(value)",
    "first": "value, min(time_ms)",
    "last": "value, max(time_ms)",
}
PERCENTS: dict[Aggregate, int] = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}
_BUCKETS = f"""
WITH selected AS (
    SELECT site, device, measurement, time_ms - time_ms %% :every_ms AS start_ms, time_ms,
        key, type, value
    FROM series CROSS JOIN reading ON series_id = series.id, json_each(fields)
    WHERE {_SELECTED} AND (:fields IS NULL OR key IN (SELECT value FROM json_each(:fields)))
), bucket AS (
    SELECT DISTINCT start_ms, device, measurement, site FROM selected
    WHERE %(wanted)s AND (:after_ms IS NULL OR start_ms != :after_ms
        OR (device, measurement, site) > (:after_device, :after_measurement, :after_site))
    ORDER BY start_ms %(order)s, device, measurement, site LIMIT :limit
)
"""
AGGREGATE = f"""{_BUCKETS}
SELECT site, device, measurement, start_ms, key, type, %(aggregate)s
FROM selected JOIN bucket USING (start_ms, device, measurement, site)
WHERE %(wanted)s GROUP BY start_ms, device, measurement, site, key
ORDER BY start_ms %(order)s, device, measurement, site, key
"""
# The nearest rank, as InfluxQL's percentile() has it.
PERCENTILE = f"""{_BUCKETS}
SELECT site, device, measurement, start_ms, key, type, value FROM (
    SELECT *,
        row_number() OVER (
            PARTITION BY start_ms, device, measurement, site, key ORDER BY value
        ) AS rank,
        count(*) OVER (PARTITION BY start_ms, device, measurement, site, key) AS readings
    FROM selected JOIN bucket USING (start_ms, device, measurement, site) WHERE %(wanted)s
) WHERE rank = CAST(readings * :percent / 100.0 + 0.5 AS INTEGER)
ORDER BY start_ms %(order)s, device, measurement, site, key
"""
NUMBERS = "type IN ('real', 'integer')"
COUNTS = """
SELECT device, boot_ms, count(*), max(seq) FROM reading JOIN series ON series_id = id
WHERE boot_ms IS NOT NULL AND seq IS NOT NULL GROUP BY device, boot_ms ORDER BY device, boot_ms
"""
SEQUENCES = """
SELECT site, device, measurement, time_ms, boot_ms, seq
FROM series CROSS JOIN reading ON series_id = id
WHERE boot_ms IS NOT NULL AND seq IS NOT NULL AND (:device IS NULL OR device = :device)
    AND time_ms >= :start_ms AND time_ms < :stop_ms
"""
