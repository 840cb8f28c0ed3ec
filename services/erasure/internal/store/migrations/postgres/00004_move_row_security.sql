-- +goose Up
ALTER TABLE move ENABLE ROW LEVEL SECURITY;
ALTER TABLE move FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON move USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));

-- +goose Down
DROP POLICY of_controller ON move;
ALTER TABLE move NO FORCE ROW LEVEL SECURITY;
ALTER TABLE move DISABLE ROW LEVEL SECURITY;
