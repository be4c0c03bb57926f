-- The state as of one entry, in parts; the row that names them is written last.

CREATE TABLE snapshot_part (
    sequence INTEGER NOT NULL,
    part INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (sequence, part)
) STRICT;

CREATE TABLE snapshot (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL,
    format INTEGER NOT NULL,
    digest BLOB NOT NULL
) STRICT;
