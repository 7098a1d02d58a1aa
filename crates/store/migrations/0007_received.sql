-- Invoices of providers that rate in systems of their own.

ALTER TABLE agreement ADD COLUMN rated TEXT NOT NULL DEFAULT 'here';

CREATE TABLE received_invoice (
    invoice_id TEXT PRIMARY KEY,
    month TEXT NOT NULL,
    seller_id TEXT NOT NULL,
    buyer_id TEXT NOT NULL,
    number TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    issue_on TEXT NOT NULL,
    currency TEXT NOT NULL,
    net_minor BIGINT NOT NULL,
    tax_minor BIGINT NOT NULL,
    lines BIGINT NOT NULL,
    daily_rows BIGINT NOT NULL,
    daily_billed TEXT NOT NULL,
    lines_sha256 TEXT NOT NULL,
    daily_sha256 TEXT NOT NULL,
    differences TEXT,
    UNIQUE (seller_id, number)
);
