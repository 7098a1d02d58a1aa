-- What is agreed. Append-only: a change is a new row with a later known_at, and what was known at
-- an instant is, for each key, the row with the latest known_at up to it.
-- Columns are TEXT or BIGINT: known_at in microseconds since 1970, days as ISO text, decimals as
-- text. One text for every database.

CREATE TABLE programme (
    known_at BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    zone TEXT NOT NULL
);

CREATE TABLE organisation (
    organisation_id TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    organisation_key TEXT NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    country TEXT NOT NULL,
    domain TEXT,
    mpn_id TEXT,
    series_prefix TEXT NOT NULL,
    series_digits BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, known_at)
);

CREATE TABLE relationship (
    partner_id TEXT NOT NULL,
    with_id TEXT NOT NULL,
    from_on TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    until_on TEXT,
    PRIMARY KEY (partner_id, with_id, from_on, known_at)
);

CREATE TABLE agreement (
    seller_id TEXT NOT NULL,
    buyer_id TEXT NOT NULL,
    from_on TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    until_on TEXT,
    currency TEXT NOT NULL,
    price_book TEXT NOT NULL,
    rounding TEXT NOT NULL,
    rate_source TEXT NOT NULL,
    rate_fixing TEXT NOT NULL,
    payment_terms_days BIGINT NOT NULL,
    PRIMARY KEY (seller_id, buyer_id, from_on, known_at)
);

CREATE TABLE price_book (
    price_book TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    seller_id TEXT NOT NULL,
    PRIMARY KEY (price_book, known_at)
);

CREATE TABLE price_rule (
    price_book TEXT NOT NULL,
    selector TEXT NOT NULL,
    from_on TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    until_on TEXT,
    derivation TEXT NOT NULL,
    PRIMARY KEY (price_book, selector, from_on, known_at)
);

CREATE TABLE offer (
    offer TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    family TEXT NOT NULL,
    price_sheet TEXT NOT NULL,
    PRIMARY KEY (offer, known_at)
);

CREATE TABLE subscription (
    subscription_id TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    offer TEXT NOT NULL,
    path TEXT NOT NULL,
    from_on TEXT NOT NULL,
    until_on TEXT,
    PRIMARY KEY (subscription_id, known_at)
);

CREATE TABLE entitlement (
    subscription_id TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    entitlement_id TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (subscription_id, known_at, entitlement_id)
);

CREATE TABLE exchange_rate (
    source TEXT NOT NULL,
    from_currency TEXT NOT NULL,
    to_currency TEXT NOT NULL,
    on_day TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    rate TEXT NOT NULL,
    PRIMARY KEY (source, on_day, from_currency, to_currency, known_at)
);

-- The latest instant at which anything became known.
CREATE TABLE known_instant (
    one BIGINT NOT NULL PRIMARY KEY,
    latest BIGINT NOT NULL
);
