-- One conversation. `updated` is when it was last talked in; `deleted` when it was thrown away, from where it can still come back.
CREATE TABLE conversations (
    seq      INTEGER NOT NULL PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    title    TEXT NOT NULL,
    named    INTEGER NOT NULL CHECK (named IN (0, 1)),
    pinned   INTEGER NOT NULL CHECK (pinned IN (0, 1)),
    model    TEXT,
    head     TEXT,
    messages INTEGER NOT NULL CHECK (messages >= 0),
    bytes    INTEGER NOT NULL CHECK (bytes >= 0),
    created  INTEGER NOT NULL,
    updated  INTEGER NOT NULL,
    deleted  INTEGER,
    options  TEXT,
    system   TEXT
) STRICT;

CREATE INDEX conversations_by_updated ON conversations (pinned, updated, id) WHERE deleted IS NULL;
CREATE INDEX conversations_by_deleted ON conversations (deleted) WHERE deleted IS NOT NULL;

-- One message. A parent is a message of the same conversation that was there before, so that all of them are a tree.
-- The small columns stand first: reading them never walks through the large ones. `details` is a JSON object.
CREATE TABLE conversation_messages (
    seq          INTEGER NOT NULL PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (seq) ON DELETE CASCADE,
    id           TEXT NOT NULL,
    parent       TEXT CHECK (parent <> id),
    role         TEXT NOT NULL,
    bytes        INTEGER NOT NULL CHECK (bytes >= 0),
    created      INTEGER NOT NULL,
    updated      INTEGER NOT NULL,
    content      TEXT NOT NULL,
    details      TEXT NOT NULL,
    UNIQUE (conversation, id),
    FOREIGN KEY (conversation, parent) REFERENCES conversation_messages (conversation, id)
) STRICT;

CREATE INDEX conversation_messages_in_order ON conversation_messages (conversation, seq);
CREATE INDEX conversation_messages_by_parent ON conversation_messages (conversation, parent);

-- One picture of a message; its bytes are a blob.
CREATE TABLE conversation_pictures (
    message    INTEGER NOT NULL REFERENCES conversation_messages (seq) ON DELETE CASCADE,
    blob       BLOB NOT NULL CHECK (length(blob) = 32),
    size       INTEGER NOT NULL CHECK (size >= 0),
    media_type TEXT NOT NULL,
    PRIMARY KEY (message, blob)
) STRICT, WITHOUT ROWID;

CREATE INDEX conversation_pictures_by_blob ON conversation_pictures (blob);

-- The words of titles and messages, kept in step by the triggers below; the texts themselves stay where they are.
CREATE VIRTUAL TABLE conversation_titles USING fts5 (
    title, content = 'conversations', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE conversation_words USING fts5 (
    content, content = 'conversation_messages', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER conversations_after_insert AFTER INSERT ON conversations BEGIN
    INSERT INTO conversation_titles (rowid, title) VALUES (new.seq, new.title);
END;
CREATE TRIGGER conversations_after_delete AFTER DELETE ON conversations BEGIN
    INSERT INTO conversation_titles (conversation_titles, rowid, title) VALUES ('delete', old.seq, old.title);
END;
CREATE TRIGGER conversations_after_update AFTER UPDATE OF title ON conversations WHEN old.title IS NOT new.title BEGIN
    INSERT INTO conversation_titles (conversation_titles, rowid, title) VALUES ('delete', old.seq, old.title);
    INSERT INTO conversation_titles (rowid, title) VALUES (new.seq, new.title);
END;
CREATE TRIGGER conversation_messages_after_insert AFTER INSERT ON conversation_messages BEGIN
    INSERT INTO conversation_words (rowid, content) VALUES (new.seq, new.content);
END;
CREATE TRIGGER conversation_messages_after_delete AFTER DELETE ON conversation_messages BEGIN
    INSERT INTO conversation_words (conversation_words, rowid, content) VALUES ('delete', old.seq, old.content);
END;
CREATE TRIGGER conversation_messages_after_update AFTER UPDATE OF content ON conversation_messages
WHEN old.content IS NOT new.content BEGIN
    INSERT INTO conversation_words (conversation_words, rowid, content) VALUES ('delete', old.seq, old.content);
    INSERT INTO conversation_words (rowid, content) VALUES (new.seq, new.content);
END;
