-- +goose Up

-- Shards of the log that were dropped under the retention period: the places of their entries. A tombstone signed with the log's key
-- stands for each in the log itself.
CREATE TABLE tombstone (
  first_position BIGINT PRIMARY KEY,
  end_position BIGINT NOT NULL CHECK (end_position > first_position)
);

-- How far the rows of dropped entries have been removed. A row here removes those before its place; there is no other way.
CREATE TABLE removal (
  position BIGINT PRIMARY KEY
);

DROP TRIGGER entry_stays;
DROP TRIGGER entry_person_stays;
DROP TRIGGER entry_people_stays;
DROP TRIGGER entry_decisions_stays;

-- +goose StatementBegin
CREATE TRIGGER entry_stays BEFORE DELETE ON entry
WHEN OLD.position < 0 OR OLD.position >= (SELECT COALESCE(MAX(end_position), 0) FROM tombstone)
BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_person_stays BEFORE DELETE ON entry_person
WHEN OLD.position < 0 OR OLD.position >= (SELECT COALESCE(MAX(end_position), 0) FROM tombstone)
BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_people_stays BEFORE DELETE ON entry_people
WHEN OLD.position < 0 OR OLD.position >= (SELECT COALESCE(MAX(end_position), 0) FROM tombstone)
BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_decisions_stays BEFORE DELETE ON entry_decisions
WHEN OLD.position < 0 OR OLD.position >= (SELECT COALESCE(MAX(end_position), 0) FROM tombstone)
BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER tombstone_keeps BEFORE UPDATE ON tombstone BEGIN SELECT RAISE(ABORT, 'tombstones are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER tombstone_stays BEFORE DELETE ON tombstone BEGIN SELECT RAISE(ABORT, 'tombstones are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER removal_removes AFTER INSERT ON removal BEGIN
  DELETE FROM entry_person WHERE position >= 0 AND position < NEW.position;
  DELETE FROM entry_people WHERE position >= 0 AND position < NEW.position;
  DELETE FROM entry_decisions WHERE position >= 0 AND position < NEW.position;
  DELETE FROM entry WHERE position >= 0 AND position < NEW.position;
END;
-- +goose StatementEnd
