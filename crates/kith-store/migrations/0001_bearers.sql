-- Whoever holds the secret with this hash may do what the scope says. Secrets themselves are never stored.
CREATE TABLE bearers (
    id        TEXT NOT NULL PRIMARY KEY,
    name      TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('api_key', 'login', 'window', 'device')),
    scope     TEXT NOT NULL CHECK (scope IN ('user', 'admin')),
    hash      BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    created   INTEGER NOT NULL,
    expires   INTEGER,
    last_used INTEGER
) STRICT;

CREATE INDEX bearers_by_expiry ON bearers (expires) WHERE expires IS NOT NULL;
