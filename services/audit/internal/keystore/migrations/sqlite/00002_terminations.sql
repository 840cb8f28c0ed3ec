-- +goose Up

-- Who has approved that all of a controller's keys are destroyed, and when. Approvals go with the keys, or when they lapse.
CREATE TABLE termination_approval (
  controller TEXT NOT NULL,
  actor TEXT NOT NULL,
  approved_at BIGINT NOT NULL,
  PRIMARY KEY (controller, actor)
);
