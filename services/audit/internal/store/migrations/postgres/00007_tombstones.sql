-- +goose Up

-- Shards of the log that were dropped under the retention period: the places of their entries. A tombstone signed with the log's key
-- stands for each in the log itself.
CREATE TABLE tombstone (
  first_position BIGINT PRIMARY KEY,
  end_position BIGINT NOT NULL CHECK (end_position > first_position)
);

-- How far the rows of dropped entries have been removed. A row here removes those before its place; there is no other way: the role
-- that the service works as may not delete.
CREATE TABLE removal (
  position BIGINT PRIMARY KEY
);

DROP TRIGGER entry_stays ON entry;
DROP TRIGGER entry_person_stays ON entry_person;
DROP TRIGGER entry_people_stays ON entry_people;
DROP TRIGGER entry_decisions_stays ON entry_decisions;

-- +goose StatementBegin
CREATE FUNCTION entry_stays_unless_dropped() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.position < 0 OR OLD.position >= (SELECT COALESCE(MAX(end_position), 0) FROM tombstone) THEN
    RAISE EXCEPTION 'audit entries are never changed or deleted';
  END IF;
  RETURN OLD;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION remove_dropped_entries() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  DELETE FROM entry_person WHERE position >= 0 AND position < NEW.position;
  DELETE FROM entry_people WHERE position >= 0 AND position < NEW.position;
  DELETE FROM entry_decisions WHERE position >= 0 AND position < NEW.position;
  DELETE FROM entry WHERE position >= 0 AND position < NEW.position;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION remove_dropped_entries() FROM PUBLIC;

CREATE TRIGGER entry_keeps BEFORE UPDATE OR TRUNCATE ON entry FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();
CREATE TRIGGER entry_person_keeps BEFORE UPDATE OR TRUNCATE ON entry_person FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();
CREATE TRIGGER entry_people_keeps BEFORE UPDATE OR TRUNCATE ON entry_people FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();
CREATE TRIGGER entry_decisions_keeps BEFORE UPDATE OR TRUNCATE ON entry_decisions FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();
CREATE TRIGGER entry_stays BEFORE DELETE ON entry FOR EACH ROW EXECUTE FUNCTION entry_stays_unless_dropped();
CREATE TRIGGER entry_person_stays BEFORE DELETE ON entry_person FOR EACH ROW EXECUTE FUNCTION entry_stays_unless_dropped();
CREATE TRIGGER entry_people_stays BEFORE DELETE ON entry_people FOR EACH ROW EXECUTE FUNCTION entry_stays_unless_dropped();
CREATE TRIGGER entry_decisions_stays BEFORE DELETE ON entry_decisions FOR EACH ROW EXECUTE FUNCTION entry_stays_unless_dropped();
CREATE TRIGGER tombstone_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON tombstone FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();
CREATE TRIGGER removal_removes AFTER INSERT ON removal FOR EACH ROW EXECUTE FUNCTION remove_dropped_entries();
