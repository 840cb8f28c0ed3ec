-- +goose Up

-- The key over each controller's keys, wrapped by the installation's master key.
CREATE TABLE controller_key (
  controller TEXT PRIMARY KEY,
  wrapped BLOB NOT NULL,
  created_at BIGINT NOT NULL
);

-- The key of each pseudonym, wrapped by the controller's key. Deleting a row makes everything that was sealed under it noise.
CREATE TABLE subject_key (
  key_id BLOB PRIMARY KEY,
  controller TEXT NOT NULL,
  subject_ref TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  UNIQUE (controller, subject_ref)
);

-- Keyed hashes of pseudonyms whose keys were destroyed lately, and of controllers whose key was.
CREATE TABLE erased (
  mark TEXT PRIMARY KEY,
  erased_at BIGINT NOT NULL
);
CREATE INDEX erased_by_time ON erased (erased_at);

-- What was destroyed, and whether the log has its entry. It names keys, no people.
CREATE TABLE destruction (
  event_id TEXT PRIMARY KEY,
  controller TEXT NOT NULL,
  resource TEXT NOT NULL,
  service TEXT NOT NULL,
  key_ids TEXT NOT NULL,
  whole BIGINT NOT NULL,
  keys BIGINT NOT NULL,
  destroyed_at BIGINT NOT NULL,
  recorded BIGINT NOT NULL
);
CREATE INDEX destruction_unrecorded ON destruction (destroyed_at) WHERE recorded = 0;
