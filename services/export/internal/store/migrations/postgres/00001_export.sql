-- +goose Up

-- Exports and what is needed to carry them on. The person is in here by pseudonym (subject_ref, refs) and, while the export
-- runs, sealed (identifiers under identifiers_key). Destroying a key column destroys what was sealed under it.
CREATE TABLE export (
  controller TEXT NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL,
  kind TEXT NOT NULL,
  language TEXT NOT NULL,
  subject_ref TEXT NOT NULL,
  refs TEXT NOT NULL,
  recipient TEXT NOT NULL,
  systems TEXT NOT NULL,
  omissions TEXT NOT NULL,
  receive_time BIGINT NOT NULL,
  due_time BIGINT NOT NULL,
  retry_until BIGINT NOT NULL,
  expire_time BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  settled BIGINT NOT NULL,
  version BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  lease_until BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  next_time BIGINT NOT NULL,
  draft TEXT NOT NULL,
  identifiers_key BYTEA NOT NULL,
  identifiers BYTEA NOT NULL,
  package_file TEXT NOT NULL,
  package_sha256 TEXT NOT NULL,
  package_size BIGINT NOT NULL,
  package_type TEXT NOT NULL,
  package_key BYTEA NOT NULL,
  package_secret BYTEA NOT NULL,
  PRIMARY KEY (controller, id)
);

-- What the sweeper looks for.
CREATE INDEX export_by_next_time ON export (settled, next_time);
CREATE INDEX export_by_expire_time ON export (expire_time) WHERE package_file <> '';
CREATE INDEX export_by_draft ON export (draft) WHERE draft <> '';
CREATE INDEX export_by_package_file ON export (package_file) WHERE package_file <> '';
