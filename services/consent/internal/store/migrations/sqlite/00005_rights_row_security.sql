-- +goose Up
-- SQLite has no row-level security: one file has one service's data, and every statement names the controller.
SELECT 1;

-- +goose Down
SELECT 1;
