-- A paired device: what its bearer alone does not tell. Its name and times stand in the bearer's row, and it goes with it.
CREATE TABLE devices (
    id      TEXT NOT NULL PRIMARY KEY REFERENCES bearers (id) ON DELETE CASCADE,
    kind    TEXT NOT NULL CHECK (kind IN ('phone', 'tablet', 'computer', 'other')),
    address TEXT NOT NULL
) STRICT;
