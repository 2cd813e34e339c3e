-- What a model was made with beside its file: messages that open its conversations (a JSON list of {"role", "content"}), the model
-- it was made from, the release it asks for.
ALTER TABLE models ADD COLUMN messages TEXT NOT NULL DEFAULT '[]';
ALTER TABLE models ADD COLUMN parent TEXT;
ALTER TABLE models ADD COLUMN requires TEXT;

CREATE INDEX models_by_sha256 ON models (sha256);

-- Bytes that a client sent ahead of making a model of them. They are kept for a day, whether or not a model names them.
CREATE TABLE uploads (
    sha256   BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
    blob     BLOB NOT NULL CHECK (length(blob) = 32),
    size     INTEGER NOT NULL CHECK (size >= 0),
    received INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
