-- What two people with two roles approve before it happens (trust.md 5.1).

-- Files of who may sign, by their SHA-256. None is ever removed: old signatures are
-- checked under the file of their time.
CREATE TABLE signers (
	digest TEXT PRIMARY KEY,
	text   BLOB NOT NULL
) STRICT;

CREATE TABLE proposal (
	id        TEXT PRIMARY KEY,
	kind      TEXT NOT NULL,
	object    TEXT NOT NULL,          -- what it is about: a policy's revision, a key
	digest    TEXT NOT NULL,          -- of what would take effect
	base      TEXT NOT NULL,          -- what it changes
	statement BLOB NOT NULL,          -- what is signed; names all of the above
	effects   BLOB NOT NULL,          -- what signers read
	content   BLOB NOT NULL,          -- what would take effect
	actor     TEXT NOT NULL,          -- key of the proposer
	person    TEXT NOT NULL,          -- subject of the proposer
	reason    TEXT NOT NULL,
	created   INTEGER NOT NULL,
	expires   INTEGER NOT NULL,
	state     TEXT NOT NULL CHECK (state IN ('proposed', 'approved', 'active', 'rejected', 'expired', 'superseded')),
	seq       INTEGER NOT NULL        -- leaf of the newest state
) STRICT;
CREATE INDEX proposal_state ON proposal (kind, state);

CREATE TABLE approval (
	proposal  TEXT NOT NULL REFERENCES proposal (id),
	role      TEXT NOT NULL,
	person    TEXT NOT NULL,          -- of the signer, as the file of signers names them
	signature BLOB NOT NULL,
	actor     TEXT NOT NULL,          -- key that brought it
	reason    TEXT NOT NULL,
	at        INTEGER NOT NULL,
	PRIMARY KEY (proposal, person)
) STRICT, WITHOUT ROWID;

-- What is in force, and was: the newest number of a kind counts.
CREATE TABLE inforce (
	kind     TEXT NOT NULL,           -- policy, signers
	number   INTEGER NOT NULL,
	digest   TEXT NOT NULL,
	proposal TEXT NOT NULL REFERENCES proposal (id),
	seq      INTEGER NOT NULL REFERENCES leaf (seq),
	PRIMARY KEY (kind, number)
) STRICT, WITHOUT ROWID;

-- The ledger knows what was put in force last, whatever this file says: see Registry.InForce.
CREATE INDEX leaf_inforce ON leaf (seq) WHERE instr(data, '"event":"policy.activate"') > 0 OR instr(data, '"event":"signers.activate"') > 0;
