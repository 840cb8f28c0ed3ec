-- +goose Up

-- The end of the log as accepted: one row.
CREATE TABLE log_head (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  next_position BIGINT NOT NULL,
  last_received BIGINT NOT NULL
);
INSERT INTO log_head (id, next_position, last_received) VALUES (1, 1, 0);

-- The last number given to each controller's entries; '' is the suite itself.
CREATE TABLE controller_head (
  controller TEXT PRIMARY KEY,
  sequence BIGINT NOT NULL
);

-- Accepted events, in the order of their acceptance. Rows are never changed.
CREATE TABLE entry (
  position BIGINT PRIMARY KEY,
  event_id TEXT NOT NULL UNIQUE,
  event_digest BLOB NOT NULL,
  controller TEXT NOT NULL,
  controller_sequence BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  service TEXT NOT NULL,
  action TEXT NOT NULL,
  kind TEXT NOT NULL,
  actor_ref TEXT NOT NULL,
  resource TEXT NOT NULL,
  outcome TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  leaf BLOB NOT NULL,
  UNIQUE (controller, controller_sequence)
);
CREATE INDEX entry_by_time ON entry (controller, received_at, controller_sequence);

-- The pseudonyms that entries name.
CREATE TABLE entry_subject (
  subject_ref TEXT NOT NULL,
  position BIGINT NOT NULL REFERENCES entry (position),
  PRIMARY KEY (subject_ref, position)
);
CREATE INDEX entry_subject_by_position ON entry_subject (position);

-- Where entries are in the log.
CREATE TABLE placement (
  log_index BIGINT PRIMARY KEY,
  position BIGINT NOT NULL UNIQUE REFERENCES entry (position)
);

-- Entries that the log does not have yet.
CREATE TABLE queue (
  position BIGINT PRIMARY KEY REFERENCES entry (position)
);

-- What was recorded stays (logging duty L.4): the tables of entries refuse changes, whoever asks.
-- +goose StatementBegin
CREATE TRIGGER entry_keeps BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_stays BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_subject_keeps BEFORE UPDATE ON entry_subject BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_subject_stays BEFORE DELETE ON entry_subject BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER placement_keeps BEFORE UPDATE ON placement BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER placement_stays BEFORE DELETE ON placement BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
