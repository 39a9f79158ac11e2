-- Units: the parts of an agency (a shelter, a station, a school) whose keys an operator
-- registered as such (disclosure.md 2.4 rule 2). A batch is of its key's unit. Units are
-- known by number elsewhere, so that no name of an institution lies beside the rows.
CREATE TABLE unit (
	id     INTEGER PRIMARY KEY,
	agency TEXT NOT NULL REFERENCES agency (id),
	name   TEXT NOT NULL,
	UNIQUE (agency, name)
) STRICT;

ALTER TABLE api_key ADD COLUMN unit INTEGER REFERENCES unit (id);
ALTER TABLE batch ADD COLUMN unit INTEGER REFERENCES unit (id);
