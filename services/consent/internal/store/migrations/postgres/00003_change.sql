-- +goose Up
-- What each revision has changed, for those who remember answers: other replicas, and platforms that follow. Lists are JSON.
CREATE TABLE change (
  controller TEXT NOT NULL REFERENCES controller (controller),
  revision BIGINT NOT NULL,
  kind TEXT NOT NULL,
  activity TEXT NOT NULL,
  system_id TEXT NOT NULL,
  consents TEXT NOT NULL,
  subject_refs TEXT NOT NULL,
  create_time BIGINT NOT NULL,
  PRIMARY KEY (controller, revision)
);
CREATE INDEX change_by_time ON change (create_time);
ALTER TABLE change ENABLE ROW LEVEL SECURITY;
ALTER TABLE change FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON change USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));

-- +goose Down
DROP TABLE change;
