-- +goose Up

-- Until when the person has to have an answer (GDPR art. 12(3)); 0 for erasures from before this column.
ALTER TABLE erasure ADD COLUMN due_time BIGINT NOT NULL DEFAULT 0;
CREATE INDEX erasure_by_due_time ON erasure (due_time);
