-- One name of one model file. Several names may share one blob.
CREATE TABLE models (
    key        TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    blob       BLOB NOT NULL CHECK (length(blob) = 32),
    sha256     BLOB NOT NULL CHECK (length(sha256) = 32),
    size       INTEGER NOT NULL CHECK (size >= 0),
    format     TEXT NOT NULL,
    metadata   TEXT NOT NULL,
    template   TEXT,
    system     TEXT,
    parameters TEXT NOT NULL,
    license    TEXT,
    source     TEXT NOT NULL,
    modified   INTEGER NOT NULL
) STRICT;

CREATE INDEX models_by_blob ON models (blob);
