-- What a close freezes. Nothing here is ever changed, except that a close is marked as finished
-- and a series counts on.

CREATE TABLE period_close (
    month TEXT NOT NULL PRIMARY KEY,
    known_at BIGINT NOT NULL,
    issue_on TEXT NOT NULL,
    engine_version BIGINT NOT NULL,
    rate_book TEXT NOT NULL,
    issued BIGINT NOT NULL,
    finished BIGINT NOT NULL
);

CREATE TABLE number_series (
    seller_id TEXT NOT NULL,
    prefix TEXT NOT NULL,
    next_number BIGINT NOT NULL,
    PRIMARY KEY (seller_id, prefix)
);

CREATE TABLE invoice (
    invoice_id TEXT NOT NULL PRIMARY KEY,
    month TEXT NOT NULL,
    number TEXT NOT NULL UNIQUE,
    seller_id TEXT NOT NULL,
    buyer_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    issue_on TEXT NOT NULL,
    due_on TEXT NOT NULL,
    net_minor BIGINT NOT NULL,
    invoice_lines BIGINT NOT NULL,
    rated_lines BIGINT NOT NULL,
    UNIQUE (month, seller_id, buyer_id)
);

CREATE TABLE ledger_entry (
    entry_id TEXT NOT NULL PRIMARY KEY,
    book_id TEXT NOT NULL,
    invoice_id TEXT NOT NULL,
    posted_on TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE TABLE ledger_posting (
    entry_id TEXT NOT NULL,
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (entry_id, account)
);

CREATE TABLE document (
    path TEXT NOT NULL PRIMARY KEY,
    month TEXT NOT NULL,
    invoice_id TEXT,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    lines BIGINT NOT NULL
);
