-- Epochs of the outer key of pids (trust.md 5.1, 5.3). The keyring file holds the keys,
-- this table which of them is what: that changes with the rows, in one transaction.
DROP TABLE kcv;
CREATE TABLE key_epoch (
	epoch     INTEGER PRIMARY KEY CHECK (epoch > 0),
	state     TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retired', 'destroyed')),
	kcv       TEXT NOT NULL UNIQUE,   -- check value of the keyring with this epoch in force
	created   INTEGER NOT NULL,
	activated INTEGER,
	retired   INTEGER,
	destroyed INTEGER,
	doomed    INTEGER                 -- its destruction was decided and may be half done
) STRICT;
CREATE UNIQUE INDEX key_epoch_one ON key_epoch (state) WHERE state IN ('pending', 'active');

-- Attempts to move all rows from one epoch to the next. The generation of the newest one
-- that is done says which of the loads that hold a batch counts; no number is used twice.
CREATE TABLE rotation (
	generation INTEGER PRIMARY KEY AUTOINCREMENT,
	from_epoch INTEGER NOT NULL REFERENCES key_epoch (epoch),
	to_epoch   INTEGER NOT NULL REFERENCES key_epoch (epoch),
	actor      TEXT NOT NULL,
	state      TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
	started    INTEGER NOT NULL,
	ended      INTEGER
) STRICT;
CREATE UNIQUE INDEX rotation_running ON rotation (state) WHERE state = 'running';

-- The load that a rotation makes of each batch; rows and mac once all of it is stored.
CREATE TABLE rekeyed (
	generation INTEGER NOT NULL REFERENCES rotation (generation),
	batch      TEXT NOT NULL REFERENCES batch (id),
	old        INTEGER NOT NULL,
	load       INTEGER NOT NULL UNIQUE REFERENCES load (id),
	rows       INTEGER,
	mac        INTEGER,
	PRIMARY KEY (generation, batch)
) STRICT, WITHOUT ROWID;
CREATE INDEX load_batch ON load (batch);
