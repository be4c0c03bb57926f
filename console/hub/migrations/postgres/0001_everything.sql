-- The journal, what the fleet measured, and snapshots of the state.

CREATE TABLE journal (
    sequence BIGINT PRIMARY KEY,
    body BYTEA NOT NULL,
    hash BYTEA NOT NULL
);

-- The journal's head, moved in the same transaction as the journal: a tail that was cut off
-- leaves it behind. Whoever appends holds its row, so that two hubs follow one another here.
CREATE TABLE journal_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL
);

INSERT INTO journal_head (id, sequence, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

-- One flush adds rows, and never touches those of another flush; compaction adds rows
-- together, and leaves the last of their flushes. What servers call things is bytes: text of
-- a database has no zero byte, and may have another encoding.
CREATE TABLE rollup (
    start_us BIGINT NOT NULL,
    span_s BIGINT NOT NULL,
    endpoint BYTEA NOT NULL,
    model BYTEA NOT NULL,
    version BYTEA NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    flush BIGINT NOT NULL,
    counts BYTEA NOT NULL,
    sum_ns BIGINT NOT NULL,
    min_ns BIGINT NOT NULL,
    max_ns BIGINT NOT NULL,
    request_bytes BIGINT NOT NULL,
    response_bytes BIGINT NOT NULL,
    PRIMARY KEY (start_us, span_s, endpoint, model, version, outcome, flush)
);

-- The next minute whose rows of ten seconds are to be added together.
CREATE INDEX rollup_fine ON rollup (start_us) WHERE span_s = 10;

-- What was counted of each start of each host's agent.
CREATE TABLE watermark (
    host TEXT COLLATE "C" NOT NULL,
    boot BYTEA NOT NULL,
    durable BIGINT NOT NULL,
    counted TEXT NOT NULL,
    heard_us BIGINT NOT NULL,
    PRIMARY KEY (host, boot)
);

-- The last flush and who wrote it, and the last flush that compaction took in.
CREATE TABLE flushed (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    flush BIGINT NOT NULL,
    writer BYTEA NOT NULL,
    compacted BIGINT NOT NULL
);

INSERT INTO flushed (id, flush, writer, compacted)
VALUES (1, 0, decode(repeat('00', 16), 'hex'), 0);

-- Hosts by number, so that a host takes a byte in a minute rather than its name.
CREATE TABLE minute_host (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host TEXT COLLATE "C" NOT NULL UNIQUE
);

-- One part of one minute: all hosts that it tells of. A draft is replaced when its minute is
-- finished; what came late is a further part.
CREATE TABLE host_minute (
    start_us BIGINT NOT NULL,
    flush BIGINT NOT NULL,
    part BIGINT NOT NULL,
    is_draft BOOLEAN NOT NULL,
    cells BYTEA NOT NULL,
    PRIMARY KEY (start_us, flush, part)
);

-- The state as of one entry, in parts; the row that names them is written last.
CREATE TABLE snapshot_part (
    sequence BIGINT NOT NULL,
    part BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (sequence, part)
);

CREATE TABLE snapshot (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    format BIGINT NOT NULL,
    digest BYTEA NOT NULL
);
