-- The journal, and what the fleet measured, rolled up.

CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY,
    body BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;

-- The journal's head, moved in the same transaction as the journal: a tail that was cut off
-- leaves it behind.
CREATE TABLE journal_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;

INSERT INTO journal_head (id, sequence, hash) VALUES (1, 0, zeroblob(32));

-- One flush adds rows, and never touches those of another flush; compaction adds rows
-- together, and leaves the last of their flushes.
CREATE TABLE rollup (
    start_us INTEGER NOT NULL,
    span_s INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    outcome TEXT NOT NULL,
    flush INTEGER NOT NULL,
    counts BLOB NOT NULL,
    sum_ns INTEGER NOT NULL,
    min_ns INTEGER NOT NULL,
    max_ns INTEGER NOT NULL,
    request_bytes INTEGER NOT NULL,
    response_bytes INTEGER NOT NULL,
    PRIMARY KEY (start_us, span_s, endpoint, model, version, outcome, flush)
) STRICT, WITHOUT ROWID;

-- What was counted of each start of each host's agent.
CREATE TABLE watermark (
    host TEXT NOT NULL,
    boot BLOB NOT NULL,
    durable INTEGER NOT NULL,
    counted TEXT NOT NULL,
    heard_us INTEGER NOT NULL,
    PRIMARY KEY (host, boot)
) STRICT, WITHOUT ROWID;

-- The last flush and who wrote it, and the last flush that compaction took in.
CREATE TABLE flushed (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    flush INTEGER NOT NULL,
    writer BLOB NOT NULL,
    compacted INTEGER NOT NULL
) STRICT;

INSERT INTO flushed (id, flush, writer, compacted) VALUES (1, 0, zeroblob(16), 0);
