-- What is known of watched inputs, version by version: evidence, totals, what was counted of
-- which start of which agent.

CREATE TABLE guard (
    name TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;
