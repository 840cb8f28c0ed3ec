-- +goose Up

-- Controllers. The body is JSON.
CREATE TABLE controller (
  controller TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  body TEXT NOT NULL,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL
);

-- The newest revision of each controller's register and consents. Apart from the controller, because every write changes it.
CREATE TABLE revision (
  controller TEXT PRIMARY KEY REFERENCES controller (controller),
  revision BIGINT NOT NULL
);

-- Activities, each with the number of its newest version.
CREATE TABLE activity (
  controller TEXT NOT NULL REFERENCES controller (controller),
  activity TEXT NOT NULL,
  version BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  PRIMARY KEY (controller, activity)
);

-- What the controller has instructed, by whom and when. The body is JSON.
CREATE TABLE activity_version (
  controller TEXT NOT NULL,
  activity TEXT NOT NULL,
  version BIGINT NOT NULL,
  archived BIGINT NOT NULL,
  body TEXT NOT NULL,
  author TEXT NOT NULL,
  create_time BIGINT NOT NULL,
  PRIMARY KEY (controller, activity, version),
  FOREIGN KEY (controller, activity) REFERENCES activity (controller, activity)
);

-- Systems. The body is JSON.
CREATE TABLE controller_system (
  controller TEXT NOT NULL REFERENCES controller (controller),
  system_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  body TEXT NOT NULL,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (controller, system_id)
);

-- Consents. Times are 0 where there is none; withdraw_revision is 0 while a consent is not withdrawn; last_revision is the
-- later of the two.
CREATE TABLE consent (
  controller TEXT NOT NULL REFERENCES controller (controller),
  consent_id TEXT NOT NULL,
  activity TEXT NOT NULL,
  activity_version BIGINT NOT NULL,
  subject_ref TEXT NOT NULL,
  capacity TEXT NOT NULL,
  reference TEXT NOT NULL,
  sufficient BIGINT NOT NULL,
  give_time BIGINT NOT NULL,
  withdraw_time BIGINT NOT NULL,
  expire_time BIGINT NOT NULL,
  evidence TEXT NOT NULL,
  give_revision BIGINT NOT NULL,
  withdraw_revision BIGINT NOT NULL,
  last_revision BIGINT NOT NULL,
  PRIMARY KEY (controller, consent_id)
);

-- The pseudonyms under which consents were given.
CREATE TABLE consent_subject (
  controller TEXT NOT NULL,
  subject_ref TEXT NOT NULL,
  activity TEXT NOT NULL,
  consent_id TEXT NOT NULL,
  PRIMARY KEY (controller, subject_ref, activity, consent_id),
  FOREIGN KEY (controller, consent_id) REFERENCES consent (controller, consent_id)
);
CREATE INDEX consent_subject_by_consent ON consent_subject (controller, consent_id);

-- The pseudonyms of people who were erased.
CREATE TABLE erased_subject (
  controller TEXT NOT NULL REFERENCES controller (controller),
  subject_ref TEXT NOT NULL,
  erasure TEXT NOT NULL,
  erase_time BIGINT NOT NULL,
  record_time BIGINT NOT NULL,
  PRIMARY KEY (controller, subject_ref)
);

-- Instructions are kept as they were given: their table refuses changes, whoever asks.
-- +goose StatementBegin
CREATE TRIGGER activity_version_keeps BEFORE UPDATE ON activity_version BEGIN SELECT RAISE(ABORT, 'versions of activities are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER activity_version_stays BEFORE DELETE ON activity_version BEGIN SELECT RAISE(ABORT, 'versions of activities are never deleted'); END;
-- +goose StatementEnd
