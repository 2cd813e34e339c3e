-- One registered adapter (LoRA) to a model. Several may share one blob.
CREATE TABLE adapters (
    id         TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
    name       TEXT NOT NULL,
    base_key   TEXT NOT NULL,
    base_model TEXT NOT NULL,
    base_blob  BLOB NOT NULL CHECK (length(base_blob) = 32),
    blob       BLOB NOT NULL CHECK (length(blob) = 32),
    sha256     BLOB NOT NULL CHECK (length(sha256) = 32),
    size       INTEGER NOT NULL CHECK (size >= 0),
    rank       INTEGER NOT NULL CHECK (rank > 0),
    alpha      REAL NOT NULL,
    metadata   TEXT NOT NULL,
    source     TEXT NOT NULL,
    created    INTEGER NOT NULL
) STRICT;

CREATE INDEX adapters_by_blob ON adapters (blob);
