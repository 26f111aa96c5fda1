-- name: list_databases :many
-- Every database in Notion that we know. Few rows; the primary key orders them.
SELECT name, database_id, data_source_id, parent_id, mapping, views, drift, adopted, state, reason,
    revision, checked_at
FROM notion_database ORDER BY name;

-- name: save_database :none
-- Remember what is known of one. Made by one set-up at a time, under the lock of lock_setup.
INSERT INTO notion_database AS known (
    name, database_id, data_source_id, parent_id, mapping, views, drift, adopted, state, reason,
    revision, checked_at
) VALUES (
    %(name)s, %(database_id)s, %(data_source_id)s, %(parent_id)s, %(mapping)s, %(views)s, %(drift)s,
    %(adopted)s, %(state)s, %(reason)s, %(revision)s, %(now)s
)
ON CONFLICT (name) DO UPDATE SET
    database_id = excluded.database_id, data_source_id = excluded.data_source_id,
    parent_id = excluded.parent_id, mapping = excluded.mapping, views = excluded.views,
    drift = excluded.drift, adopted = excluded.adopted, state = excluded.state,
    reason = excluded.reason, revision = excluded.revision, checked_at = excluded.checked_at;

-- name: reset_fields :none
-- Some fields have new properties, which are empty: what both sides agreed on about them is void, so
-- that emptiness does not pass for a person's wish. Reads the records of the database.
UPDATE notion_record SET base = base - %(columns)s::text[], page_hash = NULL
WHERE database = %(name)s;

-- name: queue_database :none
-- Look at every row that has a page. Reads the records of the database.
INSERT INTO notion_push (database, record_id, entity, revision, queued_at, due_at)
SELECT database, record_id, entity, nextval('notion_push_revision'), now(), now()
FROM notion_record WHERE database = %(name)s AND state = 'ok'
ON CONFLICT (database, record_id) DO UPDATE SET
    revision = excluded.revision, due_at = excluded.due_at, waits = false, error = NULL;

-- name: set_database_state :none
-- Say that the rows of a database are held, missing, or in order again. By the primary key.
UPDATE notion_database SET state = %(state)s, reason = %(reason)s WHERE name = %(name)s;

-- name: forget_database :none
-- Forget which database it was, so that another can take its place. By the primary key.
DELETE FROM notion_database WHERE name = %(name)s;

-- name: lock_setup :one
-- Only one set-up at a time: until the end of the session's transaction.
SELECT pg_try_advisory_xact_lock(hashtext('higherself.notion_setup')) AS locked;
