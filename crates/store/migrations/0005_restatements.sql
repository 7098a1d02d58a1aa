-- Facts that price a closed month otherwise than it was billed, and the sellers' decisions to bill
-- an edge by what was known at an instant.

CREATE TABLE restatement (
    month TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (month, known_at)
);

CREATE TABLE restatement_acceptance (
    month TEXT NOT NULL,
    seller_id TEXT NOT NULL,
    buyer_id TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    consent TEXT,
    PRIMARY KEY (month, seller_id, buyer_id, known_at)
);

ALTER TABLE agreement ADD COLUMN rate_restated BIGINT NOT NULL DEFAULT 0;
