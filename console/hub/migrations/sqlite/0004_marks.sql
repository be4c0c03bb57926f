-- How far those who read the journal for somebody outside have come: what is up to here was
-- taken, or given up.

CREATE TABLE mark (
    reader TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT;
