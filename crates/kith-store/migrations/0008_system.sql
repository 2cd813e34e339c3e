-- One minute of the node's life, measured. `figures` is a JSON object; what was not measured is not in it.
CREATE TABLE metrics_points (
    minute     INTEGER NOT NULL PRIMARY KEY,
    covered_ms INTEGER NOT NULL CHECK (covered_ms BETWEEN 0 AND 60000),
    figures    TEXT NOT NULL
) STRICT;

-- What happened on the node. Each hash covers the one before it, so that nothing inside can be changed unseen.
CREATE TABLE audit (
    seq  INTEGER NOT NULL PRIMARY KEY,
    at   INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- The last record that left the ring: the one the oldest kept record's hash covers.
CREATE TABLE audit_anchor (
    id   INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Nodes the owner wants to find again.
CREATE TABLE contacts (
    node_id TEXT NOT NULL PRIMARY KEY,
    name    TEXT NOT NULL,
    notes   TEXT NOT NULL,
    added   INTEGER NOT NULL,
    updated INTEGER NOT NULL
) STRICT;

-- How the owner shows themselves; one row at most.
CREATE TABLE profile (
    id            INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    display_name  TEXT NOT NULL,
    avatar        BLOB,
    push_endpoint TEXT,
    metered       INTEGER NOT NULL CHECK (metered IN (0, 1)),
    updated       INTEGER NOT NULL
) STRICT;
