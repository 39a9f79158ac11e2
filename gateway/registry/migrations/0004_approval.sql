-- What an approval and a confirmation look back at.

-- When another officer confirmed a view of a cell; a release has few of them a day.
ALTER TABLE cell_view ADD COLUMN confirmed INTEGER;

-- The window of a release: a batch of these days that was withdrawn between the build
-- and the approval stops the approval. '' is open.
ALTER TABLE release ADD COLUMN window_from TEXT NOT NULL DEFAULT '';
ALTER TABLE release ADD COLUMN window_to TEXT NOT NULL DEFAULT '';
