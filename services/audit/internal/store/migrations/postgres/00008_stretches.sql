-- +goose Up

-- Where entries about a person are: by stretches of the log, 131,072 places each. A new row belongs into the last one, whose few pages
-- are at hand; in one index over the whole log each row met another page, and an entry cost more the longer the log was.
ALTER TABLE entry_person DROP CONSTRAINT entry_person_pkey;
ALTER TABLE entry_person ADD PRIMARY KEY (position, person);
DROP INDEX entry_person_by_position;
CREATE INDEX entry_person_by_person ON entry_person ((position / 131072), person, position);
