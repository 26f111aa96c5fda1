-- Statements of the superuser that make a fresh server ours. Each may run again at any time.

-- name: read_marker :maybe
-- What the last preparation left on the database.
SELECT shobj_description(oid, 'pg_database') AS marker
FROM pg_database WHERE datname = %(database)s;

-- name: hand_over :one
-- Give the statements below a value: DDL takes no parameters.
SELECT set_config(%(name)s, %(value)s, false);

-- name: prepare_role :none
-- The role of the program: it may log in and owns its database, nothing else. It gets the
-- verifier of its password, so the password itself is never in a statement or a log.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'higherself') THEN
        CREATE ROLE higherself;
    END IF;
    EXECUTE format(
        'ALTER ROLE higherself LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION '
        'NOBYPASSRLS PASSWORD %L', current_setting('higherself.verifier')
    );
END
$$;

-- name: create_database :none
CREATE DATABASE {database} OWNER higherself;

-- name: drop_database :none
DROP DATABASE IF EXISTS {database} WITH (FORCE);

-- name: prepare_database :none
-- The schema for extensions and what we use of them in the current database. pgvector must be
-- there; the others are used where they are.
DO $$
DECLARE
    wanted record;
BEGIN
    CREATE SCHEMA IF NOT EXISTS extensions;
    GRANT USAGE ON SCHEMA extensions TO higherself;
    FOR wanted IN
        SELECT name, default_version, installed_version FROM pg_available_extensions
        WHERE name IN ('vector', 'pg_trgm', 'unaccent')
    LOOP
        IF wanted.installed_version IS NULL THEN
            EXECUTE format('CREATE EXTENSION %I SCHEMA extensions', wanted.name);
        ELSIF wanted.installed_version <> wanted.default_version THEN
            EXECUTE format('ALTER EXTENSION %I UPDATE', wanted.name);
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') THEN
        RAISE EXCEPTION 'the installed PostgreSQL programs come without pgvector';
    END IF;
    EXECUTE format(
        'ALTER ROLE higherself IN DATABASE %I SET search_path = public, extensions',
        current_database()
    );
END
$$;

-- name: write_marker :none
DO $$
BEGIN
    EXECUTE format(
        'COMMENT ON DATABASE %I IS %L', current_database(), current_setting('higherself.marker')
    );
END
$$;
