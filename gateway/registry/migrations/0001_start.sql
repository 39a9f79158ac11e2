-- The registry, version 1 (loading.md 3.2). Times are milliseconds since 1970 UTC,
-- days are ISO 8601, load ids and sums of MACs are the same 64 bits as unsigned.

-- The ledger: leaves, the stored hashes of their tree, and the newest checkpoint.
CREATE TABLE leaf (
	seq  INTEGER PRIMARY KEY CHECK (seq >= 0),
	data BLOB NOT NULL CHECK (length(data) <= 8192)
) STRICT;

CREATE TABLE hash (
	idx  INTEGER PRIMARY KEY CHECK (idx >= 0),
	hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE head (
	one    INTEGER PRIMARY KEY CHECK (one = 1),
	size   INTEGER NOT NULL,          -- leaves
	signed INTEGER NOT NULL,          -- size of the checkpoint
	note   TEXT NOT NULL              -- the checkpoint, a signed note
) STRICT;
INSERT INTO head VALUES (1, 0, 0, '');

-- What leaves commit to: SHA-256(salt || body). May be erased, leaves never.
CREATE TABLE detail (
	seq  INTEGER PRIMARY KEY REFERENCES leaf (seq),
	salt BLOB NOT NULL CHECK (length(salt) >= 16),
	body BLOB NOT NULL
) STRICT;

CREATE TRIGGER leaf_update BEFORE UPDATE ON leaf BEGIN SELECT RAISE (ABORT, 'the ledger only grows'); END;
CREATE TRIGGER leaf_delete BEFORE DELETE ON leaf BEGIN SELECT RAISE (ABORT, 'the ledger only grows'); END;
CREATE TRIGGER hash_update BEFORE UPDATE ON hash BEGIN SELECT RAISE (ABORT, 'the ledger only grows'); END;
CREATE TRIGGER hash_delete BEFORE DELETE ON hash BEGIN SELECT RAISE (ABORT, 'the ledger only grows'); END;

-- Secrets of this file alone, and the check values of the keyring's keys.
CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE kcv (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- Agencies: what was registered, and so what is expected (decisions.md 4).
CREATE TABLE agency (
	id            TEXT PRIMARY KEY,
	contract      TEXT NOT NULL,
	title         TEXT NOT NULL,      -- JSON, by language
	expected_from INTEGER NOT NULL,   -- quarter, year * 4 + 0..3
	expected_to   INTEGER NOT NULL    -- quarter, or 0: until further notice
) STRICT;

CREATE TABLE agency_region (
	agency TEXT NOT NULL REFERENCES agency (id),
	region TEXT NOT NULL,
	PRIMARY KEY (agency, region)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
	id        TEXT PRIMARY KEY,
	secret    BLOB NOT NULL CHECK (length(secret) = 32), -- SHA-256 of the secret
	env       TEXT NOT NULL,
	subject   TEXT NOT NULL,
	org       TEXT NOT NULL,
	role      TEXT NOT NULL CHECK (role IN ('agency', 'researcher', 'officer', 'steward', 'operator')),
	agency    TEXT REFERENCES agency (id),
	contracts TEXT NOT NULL,          -- JSON list
	purposes  TEXT NOT NULL,          -- JSON list
	created   INTEGER NOT NULL,
	expires   INTEGER NOT NULL,
	revoked   INTEGER,
	CHECK ((role = 'agency') = (agency IS NOT NULL))
) STRICT;

-- Batches: one row for each (agency, idempotency key); one load for each attempt.
CREATE TABLE batch (
	id          TEXT PRIMARY KEY,
	agency      TEXT NOT NULL REFERENCES agency (id),
	key         BLOB NOT NULL CHECK (length(key) = 32),     -- keyed hash of the Idempotency-Key
	contract    TEXT NOT NULL,
	version     INTEGER NOT NULL,
	content     BLOB NOT NULL CHECK (length(content) = 32), -- HMAC(K_digest, digest)
	period_from TEXT NOT NULL,
	period_to   TEXT NOT NULL,
	kind        TEXT NOT NULL,
	reject      TEXT NOT NULL,
	policy      TEXT NOT NULL,
	kcv         TEXT NOT NULL,
	actor       TEXT NOT NULL,
	state       TEXT NOT NULL CHECK (state IN ('loading', 'committed', 'published', 'aborted', 'withdrawn')),
	load        INTEGER NOT NULL,     -- of the newest attempt
	attempt     INTEGER NOT NULL,
	created     INTEGER NOT NULL,
	seq         INTEGER NOT NULL DEFAULT 0, -- leaf of the commit, then of the withdrawal
	stored      INTEGER NOT NULL DEFAULT 0,
	refused     INTEGER NOT NULL DEFAULT 0,
	receipt     BLOB,                -- sealed under a key that is not in this file
	erased      INTEGER,
	UNIQUE (agency, key),
	CHECK ((state IN ('committed', 'published', 'withdrawn')) = (receipt IS NOT NULL))
) STRICT;
-- The same content twice would count its children twice (decisions.md 5).
CREATE UNIQUE INDEX batch_content ON batch (agency, contract, content) WHERE state IN ('committed', 'published');
CREATE INDEX batch_state ON batch (state, seq);

CREATE TABLE load (
	id      INTEGER PRIMARY KEY,      -- random
	batch   TEXT NOT NULL REFERENCES batch (id) DEFERRABLE INITIALLY DEFERRED,
	attempt INTEGER NOT NULL,
	lease   INTEGER NOT NULL,
	ended   INTEGER,                  -- when it was clear that nothing will be added to it
	swept   INTEGER,                  -- when its rows were deleted
	rows    INTEGER NOT NULL DEFAULT 0,
	mac     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX load_ended ON load (ended) WHERE swept IS NULL;

CREATE TABLE release (
	id         TEXT PRIMARY KEY,
	lineage    TEXT NOT NULL,
	number     INTEGER NOT NULL,
	state      TEXT NOT NULL CHECK (state IN ('building', 'built', 'approved', 'withdrawn', 'superseded', 'failed')),
	snapshot   INTEGER NOT NULL,
	policy     TEXT NOT NULL,
	digest     TEXT NOT NULL DEFAULT '',
	page       TEXT NOT NULL DEFAULT '', -- SHA-256 of the risk page, which an approval names
	definition BLOB NOT NULL,
	steward    TEXT NOT NULL,         -- subject who built it
	officer    TEXT,                  -- subject who approved it
	built      INTEGER,
	UNIQUE (lineage, number)
) STRICT;
CREATE UNIQUE INDEX release_building ON release (lineage) WHERE state = 'building';
CREATE UNIQUE INDEX release_approved ON release (lineage) WHERE state = 'approved';

-- What is kept of a build beside its cells: the risk page, and why each cell is what
-- it is, sealed under a key that is not in this file.
CREATE TABLE release_page (
	release TEXT PRIMARY KEY REFERENCES release (id),
	page    BLOB NOT NULL,
	reasons BLOB NOT NULL
) STRICT;

-- Views of single cells: one officer asks, another confirms.
CREATE TABLE cell_view (
	id        INTEGER PRIMARY KEY,
	release   TEXT NOT NULL REFERENCES release (id),
	cell      TEXT NOT NULL,          -- label
	asker     TEXT NOT NULL,          -- subject
	asked     INTEGER NOT NULL,
	until     INTEGER NOT NULL,
	confirmer TEXT                    -- subject
) STRICT;
CREATE INDEX cell_view_until ON cell_view (until);
