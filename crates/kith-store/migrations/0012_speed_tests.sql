-- Measured ways to other nodes, the last hundred of each.
CREATE TABLE speed_tests (
    id        INTEGER PRIMARY KEY,
    node      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    rtt_ms    REAL NOT NULL,
    jitter_ms REAL NOT NULL,
    up        REAL NOT NULL,
    down      REAL NOT NULL,
    bytes     INTEGER NOT NULL
) STRICT;
CREATE INDEX speed_tests_of ON speed_tests (node, id);
