-- +goose Up
-- How often erasures of a controller have come into another state: the numbers of the events that platforms follow.
CREATE TABLE move (
  controller TEXT PRIMARY KEY,
  sequence BIGINT NOT NULL
);

-- +goose Down
DROP TABLE move;
