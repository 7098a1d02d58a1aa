-- Which files exist and what they hold. A file that no row names does not exist.

CREATE TABLE file_import (
    import_id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    file_name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    rows_read BIGINT NOT NULL,
    rows_taken BIGINT NOT NULL,
    rows_duplicate BIGINT NOT NULL,
    rows_conflicting BIGINT NOT NULL,
    rows_quarantined BIGINT NOT NULL,
    rows_waiting BIGINT NOT NULL,
    conflicts_path TEXT
);

CREATE INDEX file_import_sha256 ON file_import (sha256, kind, subject);

CREATE TABLE control_total (
    import_id TEXT NOT NULL,
    unit TEXT NOT NULL,
    rows_taken BIGINT NOT NULL,
    quantity TEXT NOT NULL,
    PRIMARY KEY (import_id, unit)
);

CREATE TABLE price_sheet (
    price_sheet TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    import_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    meters BIGINT NOT NULL,
    prices BIGINT NOT NULL,
    PRIMARY KEY (price_sheet, known_at)
);

CREATE TABLE usage_segment (
    path TEXT NOT NULL PRIMARY KEY,
    import_id TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    month TEXT NOT NULL,
    rows_taken BIGINT NOT NULL,
    start_min BIGINT NOT NULL,
    end_max BIGINT NOT NULL,
    quantity_scale BIGINT NOT NULL,
    corrections BIGINT NOT NULL,
    row_groups TEXT NOT NULL
);

CREATE TABLE usage_meter (
    month TEXT NOT NULL,
    meter_id TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    PRIMARY KEY (month, meter_id)
);

CREATE TABLE event_run (
    path TEXT NOT NULL PRIMARY KEY,
    entries BIGINT NOT NULL
);

CREATE TABLE waiting_correction (
    root_key TEXT NOT NULL,
    event_key TEXT NOT NULL,
    identity TEXT NOT NULL,
    event_id TEXT NOT NULL,
    import_id TEXT NOT NULL,
    PRIMARY KEY (root_key, event_key)
);
