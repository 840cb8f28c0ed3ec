-- +goose Up
ALTER TABLE objection ENABLE ROW LEVEL SECURITY;
ALTER TABLE objection FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON objection USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE objection_subject ENABLE ROW LEVEL SECURITY;
ALTER TABLE objection_subject FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON objection_subject USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE restriction ENABLE ROW LEVEL SECURITY;
ALTER TABLE restriction FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON restriction USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE restriction_subject ENABLE ROW LEVEL SECURITY;
ALTER TABLE restriction_subject FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON restriction_subject USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE subject_link ENABLE ROW LEVEL SECURITY;
ALTER TABLE subject_link FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON subject_link USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
ALTER TABLE subject_naming ENABLE ROW LEVEL SECURITY;
ALTER TABLE subject_naming FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON subject_naming USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));

-- +goose Down
DROP POLICY of_controller ON objection;
ALTER TABLE objection NO FORCE ROW LEVEL SECURITY;
ALTER TABLE objection DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON objection_subject;
ALTER TABLE objection_subject NO FORCE ROW LEVEL SECURITY;
ALTER TABLE objection_subject DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON restriction;
ALTER TABLE restriction NO FORCE ROW LEVEL SECURITY;
ALTER TABLE restriction DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON restriction_subject;
ALTER TABLE restriction_subject NO FORCE ROW LEVEL SECURITY;
ALTER TABLE restriction_subject DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON subject_link;
ALTER TABLE subject_link NO FORCE ROW LEVEL SECURITY;
ALTER TABLE subject_link DISABLE ROW LEVEL SECURITY;
DROP POLICY of_controller ON subject_naming;
ALTER TABLE subject_naming NO FORCE ROW LEVEL SECURITY;
ALTER TABLE subject_naming DISABLE ROW LEVEL SECURITY;
