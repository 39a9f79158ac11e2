-- What releases of a lineage must know of those before them (disclosure.md 2.8).

-- Leaf of the commit of a batch that was withdrawn since; seq is the withdrawal's.
ALTER TABLE batch ADD COLUMN committed INTEGER NOT NULL DEFAULT 0;

ALTER TABLE release ADD COLUMN after TEXT NOT NULL DEFAULT '';    -- the public release that it continues, or ''
ALTER TABLE release ADD COLUMN yearly INTEGER NOT NULL DEFAULT 0; -- it is a yearly revision
ALTER TABLE release ADD COLUMN approved INTEGER;                  -- when it became public; kept for ever

-- Two that answer could be subtracted, of whatever lineage.
DROP INDEX release_approved;
CREATE UNIQUE INDEX release_approved ON release (state) WHERE state = 'approved';
