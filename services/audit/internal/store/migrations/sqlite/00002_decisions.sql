-- +goose Up

-- How many decisions an entry stands for; 0 for all entries but those with decisions.
ALTER TABLE entry ADD COLUMN decisions BIGINT NOT NULL DEFAULT 0;

-- Where a decision is found by its id: ranges of ids, each short, that cover those of an entry's decisions.
CREATE TABLE entry_decisions (
  controller TEXT NOT NULL,
  first_id BLOB NOT NULL,
  last_id BLOB NOT NULL,
  position BIGINT NOT NULL REFERENCES entry (position),
  PRIMARY KEY (controller, first_id, last_id, position)
);
CREATE INDEX entry_decisions_by_position ON entry_decisions (position);

-- +goose StatementBegin
CREATE TRIGGER entry_decisions_keeps BEFORE UPDATE ON entry_decisions BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_decisions_stays BEFORE DELETE ON entry_decisions BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
