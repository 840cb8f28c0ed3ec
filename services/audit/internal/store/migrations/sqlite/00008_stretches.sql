-- +goose Up

-- Where entries about a person are: by stretches of the log, 131,072 places each. A new row belongs into the last one, whose few pages
-- are at hand; in one index over the whole log each row met another page, and an entry cost more the longer the log was.
DROP TRIGGER entry_person_keeps;
DROP TRIGGER entry_person_stays;
DROP TRIGGER removal_removes;
DROP INDEX entry_person_by_position;
ALTER TABLE entry_person RENAME TO entry_person_before;
CREATE TABLE entry_person (
  person BLOB NOT NULL,
  position BIGINT NOT NULL REFERENCES entry (position),
  PRIMARY KEY (position, person)
) WITHOUT ROWID;
INSERT INTO entry_person (person, position) SELECT person, position FROM entry_person_before ORDER BY position, person;
DROP TABLE entry_person_before;
CREATE INDEX entry_person_by_person ON entry_person (position / 131072, person);

-- +goose StatementBegin
CREATE TRIGGER entry_person_keeps BEFORE UPDATE ON entry_person BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_person_stays BEFORE DELETE ON entry_person
WHEN OLD.position < 0 OR OLD.position >= (SELECT COALESCE(MAX(end_position), 0) FROM tombstone)
BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER removal_removes AFTER INSERT ON removal BEGIN
  DELETE FROM entry_person WHERE position >= 0 AND position < NEW.position;
  DELETE FROM entry_people WHERE position >= 0 AND position < NEW.position;
  DELETE FROM entry_decisions WHERE position >= 0 AND position < NEW.position;
  DELETE FROM entry WHERE position >= 0 AND position < NEW.position;
END;
-- +goose StatementEnd
