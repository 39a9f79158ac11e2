-- How the records of an accepted batch point to children: counts, as JSON; '' where
-- there were no records.
ALTER TABLE batch ADD COLUMN linkage TEXT NOT NULL DEFAULT '';
