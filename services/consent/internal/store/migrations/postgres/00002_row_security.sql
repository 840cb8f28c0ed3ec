-- +goose Up
-- A second fence behind the WHERE of every statement: a transaction sees and writes the rows of the controller it is for, the
-- service's own machinery those of all, and one that names no controller none. Owners are bound as well.
ALTER TABLE "controller" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "controller" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "controller" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "revision" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "revision" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "revision" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "activity" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "activity" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "activity" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "activity_version" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "activity_version" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "activity_version" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "controller_system" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "controller_system" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "controller_system" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "consent" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "consent" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "consent" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "consent_subject" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "consent_subject" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "consent_subject" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE "erased_subject" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "erased_subject" FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON "erased_subject" USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));

-- +goose Down
DROP POLICY of_controller ON "controller";
ALTER TABLE "controller" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "controller" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "revision";
ALTER TABLE "revision" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "revision" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "activity";
ALTER TABLE "activity" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "activity" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "activity_version";
ALTER TABLE "activity_version" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "activity_version" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "controller_system";
ALTER TABLE "controller_system" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "controller_system" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "consent";
ALTER TABLE "consent" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "consent" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "consent_subject";
ALTER TABLE "consent_subject" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "consent_subject" DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON "erased_subject";
ALTER TABLE "erased_subject" NO FORCE ROW LEVEL SECURITY;
ALTER TABLE "erased_subject" DISABLE ROW LEVEL SECURITY;
