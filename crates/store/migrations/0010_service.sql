-- What a server needs: which installation this is, whose turn it is to write the lake, usage that
-- has been acknowledged and is not in the lake yet.

CREATE TABLE installation (
    one BIGINT NOT NULL PRIMARY KEY,
    installation_id TEXT NOT NULL,
    moves BIGINT NOT NULL
);

-- Counts up whenever what servers keep in memory has changed: what is agreed, the lake.
CREATE TABLE generation (
    subject TEXT NOT NULL PRIMARY KEY,
    counted BIGINT NOT NULL
);
INSERT INTO generation (subject, counted) VALUES ('facts', 0);
INSERT INTO generation (subject, counted) VALUES ('lake', 0);

-- Held while the lake is written, and while a month is billed. They have no rows.
CREATE TABLE lake_lock (
    one BIGINT NOT NULL PRIMARY KEY
);

CREATE TABLE billing_lock (
    one BIGINT NOT NULL PRIMARY KEY
);

-- Usage that is acknowledged and not in the lake yet: a row is what one transaction took in. Ids
-- and records are bytes that only the lake's crate reads. The sequence has no gaps and never
-- goes back.
CREATE TABLE usage_inbox (
    inbox_sequence BIGINT NOT NULL PRIMARY KEY,
    received_at BIGINT NOT NULL,
    events BIGINT NOT NULL,
    ids BLOB NOT NULL,
    records BLOB NOT NULL
);

CREATE TABLE usage_inbox_state (
    one BIGINT NOT NULL PRIMARY KEY,
    last_sequence BIGINT NOT NULL,
    drained_sequence BIGINT NOT NULL
);
INSERT INTO usage_inbox_state (one, last_sequence, drained_sequence) VALUES (1, 0, 0);

-- Programs that call the service. A secret is kept as its hash: it is long and random, so that a
-- hash of it cannot be guessed back.
CREATE TABLE application (
    application_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    duty TEXT NOT NULL,
    organisation_id TEXT,
    secret_sha256 TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
