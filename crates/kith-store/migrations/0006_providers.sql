-- What is kept of cloud providers. The key is sealed; `base_url` is the address the key is for, NULL for the provider's own.
CREATE TABLE providers (
    name       TEXT NOT NULL PRIMARY KEY,
    sealed     BLOB,
    base_url   TEXT,
    updated    INTEGER NOT NULL
) STRICT;
