-- What is known of watched inputs, version by version: evidence, totals, what was counted of
-- which start of which agent.

CREATE TABLE guard (
    name TEXT COLLATE "C" PRIMARY KEY,
    bytes BYTEA NOT NULL
);
