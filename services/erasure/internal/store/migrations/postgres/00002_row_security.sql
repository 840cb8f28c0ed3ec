-- +goose Up
-- A second fence behind the WHERE of every statement: a transaction sees and writes the rows of the controller it is for, the
-- service's own machinery those of all, and one that names no controller none. Owners are bound as well.
ALTER TABLE "erasure" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "erasure" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "erasure" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "tombstone" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "tombstone" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "tombstone" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "roster_institution" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "roster_institution" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "roster_institution" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "roster_member" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "roster_member" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "roster_member" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "roster" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "roster" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "roster" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));

-- +goose Down
DROP POLICY of_controller ON "erasure";
ALTER TABLE "erasure" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "erasure" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "tombstone";
ALTER TABLE "tombstone" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "tombstone" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "roster_institution";
ALTER TABLE "roster_institution" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "roster_institution" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "roster_member";
ALTER TABLE "roster_member" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "roster_member" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "roster";
ALTER TABLE "roster" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "roster" DISABLE ROW LEVEL SECURITY;
