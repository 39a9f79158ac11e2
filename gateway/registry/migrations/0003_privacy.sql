-- What public lineages have spent of their privacy budgets (disclosure.md 2.10), in
-- billionths of rho. A row is written with the release's intent, before a record is
-- read, and counts whatever becomes of the release: one that failed may have stored
-- noisy cells before, so neither a failure nor a crash gives a budget back.
CREATE TABLE privacy (
	release TEXT PRIMARY KEY REFERENCES release (id),
	lineage TEXT NOT NULL,
	year    INTEGER NOT NULL,                    -- in which the build began
	rho     INTEGER NOT NULL CHECK (rho > 0),
	yearly  INTEGER NOT NULL CHECK (yearly >= rho) -- the lineage's budget of a year, as the definition had it
) STRICT;
CREATE INDEX privacy_lineage ON privacy (lineage, year);

CREATE TRIGGER privacy_update BEFORE UPDATE ON privacy BEGIN SELECT RAISE (ABORT, 'what was spent is spent'); END;
CREATE TRIGGER privacy_delete BEFORE DELETE ON privacy BEGIN SELECT RAISE (ABORT, 'what was spent is spent'); END;
