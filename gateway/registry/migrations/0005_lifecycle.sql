-- What a batch is to earlier ones of its agency, and what it says of itself.
ALTER TABLE batch ADD COLUMN expected INTEGER NOT NULL DEFAULT 0;  -- records that its manifest announces; 0: it does not say
ALTER TABLE batch ADD COLUMN previous TEXT NOT NULL DEFAULT '';    -- the batch that a correction corrects, if it says
ALTER TABLE batch ADD COLUMN late TEXT NOT NULL DEFAULT '';        -- quarters of its period that were public when it was accepted
ALTER TABLE batch ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;  -- when
CREATE INDEX batch_agency ON batch (agency, created);
