-- name: inspect_server :one
-- What kind of server this is and what our role may do. Reads catalogues only.
SELECT
    pg_backend_pid() AS backend,
    current_setting('server_version_num')::int AS server_version,
    current_database() AS database,
    current_user AS role,
    role.rolsuper AS superuser,
    role.rolsuper OR role.rolbypassrls AS bypasses_row_security,
    pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS read_only,
    has_database_privilege(current_database(), 'CREATE') AS can_create,
    (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS vector_installed,
    (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS vector_available,
    (SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
     WHERE extname = 'vector') AS vector_schema
FROM pg_roles AS role
WHERE role.rolname = current_user;

-- name: find_backend :one
-- Which server process works for us just now.
SELECT pg_backend_pid() AS backend;

-- name: listen :none
LISTEN {channel};

-- name: unlisten :none
UNLISTEN {channel};

-- name: notify :none
NOTIFY {channel};

-- name: inspect_rights :one
-- What our role may do in this database and with our schema, if that is there already.
SELECT
    has_database_privilege(current_database(), 'TEMPORARY') AS can_stage,
    schema.oid IS NOT NULL AS schema_exists,
    coalesce(has_schema_privilege(schema.oid, 'CREATE'), false) AS can_extend_schema,
    ARRAY(
        SELECT relname::text FROM pg_class
        WHERE relnamespace = schema.oid AND relkind IN ('r', 'p')
            AND NOT pg_has_role(relowner, 'USAGE')
        ORDER BY relname
    ) AS tables_of_others,
    EXISTS (SELECT FROM pg_roles WHERE rolname = 'higherself') AS has_own_role
FROM (VALUES (to_regnamespace('higherself'))) AS schema (oid);

-- name: try_vector :none
-- Install pgvector as migration 03 does; run in a transaction that is rolled back.
DO $$
BEGIN
    IF to_regnamespace('extensions') IS NULL THEN
        CREATE SCHEMA extensions;
    END IF;
    CREATE EXTENSION vector WITH SCHEMA extensions;
END
$$;

-- name: try_schema :none
CREATE SCHEMA IF NOT EXISTS {schema};

-- name: try_table :none
-- Make a table and write to it.
CREATE TABLE {schema}.{probe} AS SELECT 1 AS value;

-- name: try_temporary_table :none
CREATE TEMPORARY TABLE {probe} (value integer) ON COMMIT DELETE ROWS;

-- name: list_tables :many
-- Every table of ours: whether its rows belong to a business, and whether its owner is bound too.
SELECT
    relname::text AS name,
    relname = 'entity' OR EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = pg_class.oid AND attname = 'entity' AND NOT attisdropped
    ) AS of_business,
    relrowsecurity AND relforcerowsecurity
        AND EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid) AS forced
FROM pg_class
WHERE relnamespace = to_regnamespace('higherself') AND relkind IN ('r', 'p')
ORDER BY relname;

-- name: list_web_roles :many
-- The roles as which Supabase serves the web, if they can see into our schema.
SELECT rolname::text AS name FROM pg_roles
WHERE rolname = ANY(%(names)s::text[])
    AND has_schema_privilege(oid, to_regnamespace('higherself'), 'USAGE')
ORDER BY rolname;

-- name: make_role :none
-- For a person to run: a role that row-level security binds, and what it needs.
CREATE ROLE {role} LOGIN PASSWORD 'put-a-long-random-password-here';
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {database} TO {role};
CREATE SCHEMA IF NOT EXISTS extensions;
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA extensions;
GRANT USAGE ON SCHEMA {vector_schema} TO {role};

-- name: hand_over_schema :none
-- For its owner to run: what is there already becomes the role's.
GRANT {role} TO CURRENT_USER;
ALTER SCHEMA higherself OWNER TO {role};
DO $$
DECLARE
    ours record;
BEGIN
    FOR ours IN
        SELECT oid::regclass AS name FROM pg_class
        WHERE relnamespace = 'higherself'::regnamespace AND relkind IN ('r', 'p')
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO {role}', ours.name);
    END LOOP;
END
$$;
REVOKE {role} FROM CURRENT_USER;

-- name: find_schema :one
-- Whether our schema and its list of migrations exist.
SELECT to_regclass('higherself.schema_migration') IS NOT NULL AS migrated;

-- name: list_applied :many
-- Every migration that was applied, in order.
SELECT number, name, checksum, applied_at FROM higherself.schema_migration ORDER BY number;

-- name: lock_migrations :one
-- Let one process migrate at a time. Held until the transaction ends, so it works behind a
-- transaction pooler; the key is the first eight bytes of sha256('higherself.schema_migration').
SELECT pg_advisory_xact_lock(1627259140017135823)::text AS locked;

-- name: record_migration :none
INSERT INTO higherself.schema_migration (number, name, checksum, applied_at)
VALUES (%(number)s, %(name)s, %(checksum)s, %(applied_at)s);

-- name: forget_migration :none
DELETE FROM higherself.schema_migration WHERE number = %(number)s;

-- name: remember_entity :none
-- A business is known from the first row on that is its own.
INSERT INTO entity (slug, name, created_at) VALUES (%(slug)s, %(name)s, %(now)s)
ON CONFLICT (slug) DO NOTHING;
