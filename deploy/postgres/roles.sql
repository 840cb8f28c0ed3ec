-- Who may do what in the suite's database: for each service a schema, a role that
-- owns it and runs the migrations (`<service>_owner`), and a role that the service
-- works as, which owns nothing (`<service>_app`). A service sees no other's schema.
--
-- The audit service has two: `audit`, to which it only adds, and `audit_keys`, the keys that
-- people in the log are sealed under, which it deletes. Backups of `audit_keys` undo
-- erasures: keep them apart, and for a week at most (pg_dump --exclude-schema=audit_keys
-- for those that are kept).
--
-- Run it as a superuser in the suite's own database before the first migration, and
-- again after every migration: the audit service's rights are given table by table.
-- Running it again changes nothing. Passwords are given elsewhere:
--
--   psql --set=ON_ERROR_STOP=1 --dbname=privacyops --file=roles.sql
--   psql --dbname=privacyops --command='\password consent_app'   (and LOGIN, see below)
--
-- Roles are made without the right to log in: `ALTER ROLE consent_app LOGIN` goes
-- with the password.

\set ON_ERROR_STOP on
BEGIN;
SET LOCAL client_min_messages = warning;

-- Nothing is open to everybody.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()); END $$;

DO $$
DECLARE
  service text;
  owner text;
  app text;
  role text;
BEGIN
  FOREACH service IN ARRAY ARRAY['consent', 'export', 'erasure', 'audit', 'audit_keys'] LOOP
    owner := service || '_owner';
    app := service || '_app';
    FOREACH role IN ARRAY ARRAY[owner, app] LOOP
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT', role);
      END IF;
      EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
      EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = %I', role, current_database(), service);
    END LOOP;
    -- A transaction that hangs holds locks that others wait for.
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET idle_in_transaction_session_timeout = %L', app, current_database(), '60s');

    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', service);
    EXECUTE format('ALTER SCHEMA %I OWNER TO %I', service, owner);
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', service);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', service, app);

    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT USAGE, SELECT ON SEQUENCES TO %I', owner, service, app);
    EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', service, app);
    IF service = 'audit' THEN
      -- Log entries are added and read. What else there is to do is below, by table.
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT, INSERT ON TABLES TO %I', owner, service, app);
      EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I', service, app);
    ELSE
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', owner, service, app);
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I', service, app);
    END IF;
  END LOOP;
END
$$;

-- The audit service's tables, as far as the migrations have made them. A table that
-- is not named is added to and read; so are `tombstone` and `removal`, by which the rows
-- of a year that was dropped go, as the owner's trigger does it.
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT c.relname AS name, CASE
      WHEN c.relname IN ('controller_head', 'monitor_head', 'monitor_number', 'monitor_published', 'alert', 'alert_delivery') THEN 'SELECT, INSERT, UPDATE'
      WHEN c.relname IN ('monitor_group', 'monitor_heard') THEN 'SELECT, INSERT, UPDATE, DELETE'
      WHEN c.relname = 'evidence' THEN 'SELECT, INSERT, UPDATE'
      WHEN c.relname = 'idempotent_reply' OR c.relname LIKE 'river\_%' THEN 'SELECT, INSERT, UPDATE, DELETE'
      WHEN c.relname IN ('audit_outbox') THEN 'SELECT, INSERT, DELETE'
      ELSE 'SELECT, INSERT' END AS rights
    FROM pg_class c WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind IN ('r', 'p')
  LOOP
    EXECUTE format('GRANT %s ON audit.%I TO audit_app', t.rights, t.name);
  END LOOP;
END
$$;

-- Which migrations have run is the owner's word.
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT c.oid::regclass AS name, n.nspname || '_app' AS app
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('consent', 'export', 'erasure', 'audit', 'audit_keys') AND c.relname IN ('goose_db_version', 'river_migration')
  LOOP
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %s FROM %I', t.name, t.app);
  END LOOP;
END
$$;

COMMIT;
