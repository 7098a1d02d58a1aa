-- What providers grant of earned credit, and the eligible access that earns it.

CREATE TABLE earned_credit (
    seller_id TEXT NOT NULL,
    from_on TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    until_on TEXT,
    credit_percent TEXT NOT NULL,
    exceptions TEXT NOT NULL,
    PRIMARY KEY (seller_id, from_on, known_at)
);

CREATE TABLE eligible_access (
    partner_id TEXT NOT NULL,
    subscription_id TEXT NOT NULL,
    access_scope TEXT NOT NULL,
    from_on TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    until_on TEXT,
    PRIMARY KEY (partner_id, subscription_id, access_scope, from_on, known_at)
);
