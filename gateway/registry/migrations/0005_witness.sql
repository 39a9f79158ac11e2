-- What witnesses signed (trust.md 4.1), and a row that readiness writes.

-- The newest checkpoint that each witness signed.
CREATE TABLE cosignature (
	witness TEXT NOT NULL,       -- name of its key
	key     INTEGER NOT NULL,    -- id of its key
	size    INTEGER NOT NULL,
	note    TEXT NOT NULL,       -- the checkpoint, as we signed it
	line    TEXT NOT NULL,       -- the witness's signature line
	signed  INTEGER NOT NULL,    -- when, by the witness's clock
	PRIMARY KEY (witness, key)
) STRICT, WITHOUT ROWID;

-- The newest checkpoint that enough of them signed, with their lines.
CREATE TABLE witnessed (
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	size INTEGER NOT NULL,
	note TEXT NOT NULL,
	at   INTEGER NOT NULL        -- when it was stored, by ours
) STRICT;

CREATE TABLE probe (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
INSERT INTO probe VALUES (1, 0);
