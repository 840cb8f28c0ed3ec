-- +goose Up

-- The log comes first: an entry is accepted when the log has it, and these tables follow the log. Their rows are made anew from it
-- at the next start, since what stands in them follows from the leaves. Only what was accepted and had not reached the log is kept.
CREATE TABLE entry_waiting (
  position BIGINT PRIMARY KEY,
  leaf BLOB NOT NULL
);
INSERT INTO entry_waiting (position, leaf)
  SELECT q.position, e.leaf FROM queue q JOIN entry e ON e.position = q.position;

DROP TABLE entry_decisions;
DROP TABLE entry_subject;
DROP TABLE queue;
DROP TABLE placement;
DROP TABLE entry;
DROP TABLE log_head;
DELETE FROM controller_head;

-- The entries of the log. A row's position is the leaf's index.
CREATE TABLE entry (
  position INTEGER PRIMARY KEY CHECK (position >= 0),
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
  decisions BIGINT NOT NULL,
  leaf BLOB NOT NULL
);
CREATE INDEX entry_by_time ON entry (controller, received_at, controller_sequence);

-- The people whom single events name.
CREATE TABLE entry_person (
  person BLOB NOT NULL,
  position BIGINT NOT NULL REFERENCES entry (position),
  PRIMARY KEY (person, position)
) WITHOUT ROWID;
CREATE INDEX entry_person_by_position ON entry_person (position);

-- The people of an entry's decisions: the first bytes of each one's id, sorted.
CREATE TABLE entry_people (
  position INTEGER PRIMARY KEY REFERENCES entry (position),
  controller TEXT NOT NULL,
  received_at BIGINT NOT NULL,
  people BLOB NOT NULL
);
CREATE INDEX entry_people_by_time ON entry_people (controller, received_at);

-- Where a decision is found by its id: ranges of ids, each short, that cover those of an entry's decisions.
CREATE TABLE entry_decisions (
  controller TEXT NOT NULL,
  first_id BLOB NOT NULL,
  last_id BLOB NOT NULL,
  position BIGINT NOT NULL REFERENCES entry (position),
  PRIMARY KEY (controller, first_id, last_id, position)
) WITHOUT ROWID;
CREATE INDEX entry_decisions_by_position ON entry_decisions (position);

-- What was recorded stays (logging duty L.4): the tables of entries refuse changes, whoever asks.
-- +goose StatementBegin
CREATE TRIGGER entry_keeps BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_stays BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_person_keeps BEFORE UPDATE ON entry_person BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_person_stays BEFORE DELETE ON entry_person BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_people_keeps BEFORE UPDATE ON entry_people BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_people_stays BEFORE DELETE ON entry_people BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_decisions_keeps BEFORE UPDATE ON entry_decisions BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_decisions_stays BEFORE DELETE ON entry_decisions BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
-- +goose StatementEnd
