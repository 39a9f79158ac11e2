-- Erasures of one child's records, by the law. The child is in the content of the
-- proposal, sealed, until the rows are gone.
CREATE TABLE erasure (
	proposal TEXT PRIMARY KEY REFERENCES proposal (id),
	seq      INTEGER NOT NULL,           -- leaf of the intent: what was accepted later is another record
	planned  INTEGER NOT NULL DEFAULT 0, -- what is to go is known, and may be going
	done     INTEGER                     -- leaf of the end
) STRICT, WITHOUT ROWID;

-- What is to go of each load, until it is gone. Which loads they were is not kept.
CREATE TABLE erasing (
	proposal TEXT NOT NULL REFERENCES erasure (proposal),
	load     INTEGER NOT NULL REFERENCES load (id),
	rows     INTEGER NOT NULL,
	mac      INTEGER NOT NULL,
	PRIMARY KEY (proposal, load)
) STRICT, WITHOUT ROWID;
