-- What is known about taxes, and what invoices came to with it.

CREATE TABLE tax_registration (
    organisation_id TEXT NOT NULL,
    country TEXT NOT NULL,
    from_on TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    until_on TEXT,
    vat_id TEXT NOT NULL,
    checked_on TEXT,
    checked_how TEXT,
    PRIMARY KEY (organisation_id, country, from_on, known_at)
);

CREATE TABLE tax_rate (
    country TEXT NOT NULL,
    tax_category TEXT NOT NULL,
    from_on TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    until_on TEXT,
    rate TEXT NOT NULL,
    exemption TEXT,
    PRIMARY KEY (country, tax_category, from_on, known_at)
);

CREATE TABLE tax_override (
    seller_id TEXT NOT NULL,
    buyer_id TEXT NOT NULL,
    from_on TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    until_on TEXT,
    category TEXT NOT NULL,
    rate TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (seller_id, buyer_id, from_on, known_at)
);

ALTER TABLE agreement ADD COLUMN tax_rounding TEXT NOT NULL DEFAULT 'half-up';

ALTER TABLE agreement ADD COLUMN correction_months BIGINT;

ALTER TABLE offer ADD COLUMN tax_category TEXT NOT NULL DEFAULT 'standard';

ALTER TABLE invoice ADD COLUMN tax_minor BIGINT NOT NULL DEFAULT 0;
