-- One stored response of the Responses API. Input, body and events are texts that the database does not look into.
-- The small columns stand first: reading them never walks through the large ones.
CREATE TABLE responses (
    id         TEXT NOT NULL PRIMARY KEY,
    status     TEXT NOT NULL,
    previous   TEXT,
    model      TEXT NOT NULL,
    background INTEGER NOT NULL CHECK (background IN (0, 1)),
    streamed   INTEGER NOT NULL CHECK (streamed IN (0, 1)),
    created    INTEGER NOT NULL,
    ended      INTEGER,
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    input      TEXT NOT NULL,
    body       TEXT NOT NULL,
    events     TEXT
) STRICT;

CREATE INDEX responses_by_created ON responses (created, id, bytes, ended);
CREATE INDEX responses_by_previous ON responses (previous, created) WHERE previous IS NOT NULL;
