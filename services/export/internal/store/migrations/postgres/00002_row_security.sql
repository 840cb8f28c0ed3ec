-- +goose Up
-- A second fence behind the WHERE of every statement: a transaction sees and writes the rows of the controller it is for, the
-- service's own machinery those of all, and one that names no controller none. Owners are bound as well.
ALTER TABLE "export" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "export" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "export" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));

-- +goose Down
DROP POLICY of_controller ON "export";
ALTER TABLE "export" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "export" DISABLE ROW LEVEL SECURITY;
