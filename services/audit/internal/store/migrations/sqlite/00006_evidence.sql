-- +goose Up

-- Evidence and where its package is. Destroying the key columns destroys the package.
CREATE TABLE evidence (
  controller TEXT NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL,
  start_time BIGINT NOT NULL,
  end_time BIGINT NOT NULL,
  language TEXT NOT NULL,
  event_count BIGINT NOT NULL,
  event_total BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  expire_time BIGINT NOT NULL,
  reason TEXT NOT NULL,
  package_file TEXT NOT NULL,
  package_sha256 TEXT NOT NULL,
  package_size BIGINT NOT NULL,
  package_key BLOB NOT NULL,
  package_secret BLOB NOT NULL,
  PRIMARY KEY (controller, id)
);
CREATE INDEX evidence_by_state ON evidence (state, expire_time);
