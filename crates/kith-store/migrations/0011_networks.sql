-- One private network that this node knows. Its id is the digest of its founder and a salt, so that the founder cannot be exchanged.
-- `chain` is this node's membership, null before it was let in; `claim` is the sealed secret of the invite by which it asks to be.
CREATE TABLE networks (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    founder    TEXT NOT NULL,
    salt       BLOB NOT NULL CHECK (length(salt) = 16),
    created    INTEGER NOT NULL,
    own_name   TEXT NOT NULL,
    epoch      INTEGER NOT NULL CHECK (epoch >= 0),
    key_id     TEXT NOT NULL,
    chain      TEXT,
    claim      BLOB,
    claim_from TEXT,
    bootstrap  TEXT NOT NULL,
    active     INTEGER NOT NULL CHECK (active IN (0, 1)),
    connected  INTEGER NOT NULL CHECK (connected IN (0, 1) AND connected <= active)
) STRICT;

CREATE UNIQUE INDEX networks_one_active ON networks (active) WHERE active = 1;

-- Everybody who belongs to a network or did. `chain` is empty while only others' word tells of them. `removed` is the epoch that
-- shut them out, `vouched` the last one that listed them, with `vouched_role`.
CREATE TABLE network_members (
    network      TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    node         TEXT NOT NULL,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    chain        TEXT NOT NULL,
    serial       TEXT NOT NULL,
    issued       INTEGER NOT NULL,
    epoch        INTEGER NOT NULL CHECK (epoch >= 0),
    invite       TEXT,
    removed      INTEGER,
    vouched      INTEGER,
    vouched_role TEXT CHECK (vouched_role IN ('admin', 'member')),
    joined       INTEGER NOT NULL,
    last_seen    INTEGER,
    PRIMARY KEY (network, node)
) STRICT, WITHOUT ROWID;

-- An invite that this node gave out. `proof_key` is sealed: with it one could come in.
CREATE TABLE network_invites (
    id        TEXT NOT NULL PRIMARY KEY,
    network   TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    label     TEXT NOT NULL,
    role      TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    for_node  TEXT,
    proof_key BLOB NOT NULL,
    uses      INTEGER NOT NULL CHECK (uses > 0),
    used      INTEGER NOT NULL CHECK (used BETWEEN 0 AND uses),
    created   INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    revoked   INTEGER
) STRICT;

CREATE INDEX network_invites_by_network ON network_invites (network, created);

-- Every key of a network: the present one (`retired` is null) and those kept for who was away. `token` is the signed rotation that
-- brought it, empty for the first key; `psk` is sealed, and null where this node was not among those it was sealed to.
CREATE TABLE network_rotations (
    network TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    epoch   INTEGER NOT NULL CHECK (epoch >= 0),
    key_id  TEXT NOT NULL,
    token   TEXT NOT NULL,
    shares  TEXT NOT NULL,
    psk     BLOB,
    applied INTEGER NOT NULL,
    retired INTEGER,
    PRIMARY KEY (network, epoch, key_id)
) STRICT, WITHOUT ROWID;

-- The last thing each node said of itself, signed by it.
CREATE TABLE node_records (
    network TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    node    TEXT NOT NULL,
    seq     INTEGER NOT NULL CHECK (seq >= 0),
    issued  INTEGER NOT NULL,
    heard   INTEGER NOT NULL,
    token   TEXT NOT NULL,
    PRIMARY KEY (network, node)
) STRICT, WITHOUT ROWID;
