-- +goose Up

-- How many decisions an entry stands for; 0 for all entries but those with decisions.
ALTER TABLE entry ADD COLUMN decisions BIGINT NOT NULL DEFAULT 0;

-- Where a decision is found by its id: ranges of ids, each short, that cover those of an entry's decisions.
CREATE TABLE entry_decisions (
  controller TEXT NOT NULL,
  first_id BYTEA NOT NULL,
  last_id BYTEA NOT NULL,
  position BIGINT NOT NULL REFERENCES entry (position),
  PRIMARY KEY (controller, first_id, last_id, position)
);
CREATE INDEX entry_decisions_by_position ON entry_decisions (position);

CREATE TRIGGER entry_decisions_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON entry_decisions FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();
