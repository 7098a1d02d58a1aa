-- A month is billed more than once: revision 0 is its close, the others bill what became known
-- since. Tables are made anew because keys change, which not every database can alter.

CREATE TABLE period_revision (
    month TEXT NOT NULL,
    revision BIGINT NOT NULL,
    known_at BIGINT NOT NULL,
    issue_on TEXT NOT NULL,
    engine_version BIGINT NOT NULL,
    rate_book TEXT NOT NULL,
    issued BIGINT NOT NULL,
    finished BIGINT NOT NULL,
    PRIMARY KEY (month, revision)
);
INSERT INTO period_revision (month, revision, known_at, issue_on, engine_version, rate_book, issued, finished)
SELECT month, 0, known_at, issue_on, engine_version, rate_book, issued, finished FROM period_close;
DROP TABLE period_close;

CREATE TABLE issued_invoice (
    invoice_id TEXT NOT NULL PRIMARY KEY,
    month TEXT NOT NULL,
    revision BIGINT NOT NULL,
    number TEXT NOT NULL UNIQUE,
    seller_id TEXT NOT NULL,
    buyer_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    issue_on TEXT NOT NULL,
    due_on TEXT NOT NULL,
    net_minor BIGINT NOT NULL,
    invoice_lines BIGINT NOT NULL,
    rated_lines BIGINT NOT NULL,
    UNIQUE (month, revision, seller_id, buyer_id)
);
INSERT INTO issued_invoice (invoice_id, month, revision, number, seller_id, buyer_id, currency, issue_on, due_on, net_minor, invoice_lines, rated_lines)
SELECT invoice_id, month, 0, number, seller_id, buyer_id, currency, issue_on, due_on, net_minor, invoice_lines, rated_lines FROM invoice;
DROP TABLE invoice;
ALTER TABLE issued_invoice RENAME TO invoice;

ALTER TABLE document ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
