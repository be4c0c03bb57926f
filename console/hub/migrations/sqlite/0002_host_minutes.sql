-- Each host's requests minute by minute, for a day.

-- Hosts by number, so that a host takes a byte in a minute rather than its name.
CREATE TABLE minute_host (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL UNIQUE
) STRICT;

-- One part of one minute: all hosts that it tells of. A draft is replaced when its minute is
-- finished; what came late is a further part.
CREATE TABLE host_minute (
    start_us INTEGER NOT NULL,
    flush INTEGER NOT NULL,
    part INTEGER NOT NULL,
    is_draft INTEGER NOT NULL,
    cells BLOB NOT NULL,
    PRIMARY KEY (start_us, flush, part)
) STRICT;
