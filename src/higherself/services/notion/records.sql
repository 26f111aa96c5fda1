-- name: find_rows :many
-- Some rows of one table. Served by its primary key.
SELECT * FROM {rows} WHERE record_id = ANY(%(records)s::uuid[]);

-- name: insert_row :none
-- A new row, from JSON with every column. Made once: another process may make the same.
INSERT INTO {rows}
SELECT (json_populate_record(NULL::{rows}, %(row)s::json)).*
ON CONFLICT (record_id) DO NOTHING;

-- name: set_field :none
-- Another value for one column of one row. By the primary key.
UPDATE {rows} SET
    {field} = (json_populate_record(NULL::{rows}, %(values)s::json)).{field},
    updated_at = %(now)s
WHERE record_id = %(record_id)s;

-- name: set_deleted :none
-- Put up the tombstone of a row, or (null) take it away. By the primary key.
UPDATE {rows} SET deleted_at = %(at)s::timestamptz, updated_at = %(now)s
WHERE record_id = %(record_id)s AND (deleted_at IS NULL) <> (%(at)s::timestamptz IS NULL);

-- name: select_rows :many
-- Rows whose columns have some values; of a list, those that hold all of them. Reads the table, or
-- the part of it that is the business's: by its index.
SELECT r.* FROM {rows} AS r
WHERE (%(deleted)s OR r.deleted_at IS NULL)
    AND (%(entity)s::text IS NULL OR r.entity = %(entity)s)
    AND (%(text)s::text IS NULL OR r.{title} ILIKE '%%' || %(text)s || '%%')
    AND to_jsonb(r) @> (
        SELECT coalesce(jsonb_object_agg(
            wanted.key, to_jsonb(json_populate_record(NULL::{rows}, %(where)s::json)) -> wanted.key
        ), '{{}}')
        FROM jsonb_object_keys(%(where)s::jsonb) AS wanted (key)
    )
ORDER BY r.created_at, r.record_id
LIMIT %(limit)s;

-- name: find_business :maybe
-- The row that stands for a business. Served by business_entities_named.
SELECT record_id FROM business_entities WHERE slug = %(slug)s;

-- name: name_of_entity :maybe
-- What a business is called. By the primary key.
SELECT name FROM entity WHERE slug = %(slug)s;

-- name: entities_of_businesses :many
-- The businesses that some rows stand for. By the primary key.
SELECT record_id, entity FROM business_entities WHERE record_id = ANY(%(records)s::uuid[]);

-- name: find_record :maybe
-- How far a row and its page agree; locked until the transaction ends. By the primary key.
SELECT database, record_id, entity, page_id, base, conflict, deferred, stamp, creating, state, reason,
    page_hash, page_edited_at, synced_at
FROM notion_record WHERE database = %(database)s AND record_id = %(record_id)s FOR UPDATE;

-- name: find_record_of_page :maybe
-- The same by its page. Served by notion_record_page.
SELECT database, record_id, entity, page_id, base, conflict, deferred, stamp, creating, state, reason,
    page_hash, page_edited_at, synced_at
FROM notion_record WHERE page_id = %(page_id)s FOR UPDATE;

-- name: save_record :none
-- Remember how far both agree. By the primary key.
INSERT INTO notion_record AS known (
    database, record_id, entity, page_id, base, row_hash, page_hash, conflict, deferred, stamp,
    creating, state, reason, page_edited_at, synced_at
) VALUES (
    %(database)s, %(record_id)s, %(entity)s, %(page_id)s, %(base)s::jsonb, %(row_hash)s,
    %(page_hash)s, %(conflict)s::jsonb, %(deferred)s::jsonb, %(stamp)s, %(creating)s::jsonb,
    %(state)s, %(reason)s, %(page_edited_at)s, %(now)s
)
ON CONFLICT (database, record_id) DO UPDATE SET
    entity = excluded.entity, page_id = excluded.page_id, base = excluded.base,
    row_hash = coalesce(excluded.row_hash, known.row_hash), page_hash = excluded.page_hash,
    conflict = excluded.conflict, deferred = excluded.deferred, stamp = excluded.stamp,
    creating = excluded.creating, state = excluded.state, reason = excluded.reason,
    page_edited_at = excluded.page_edited_at, synced_at = excluded.synced_at;

-- name: forget_record :none
-- There is neither row nor page any more. By the primary key.
DELETE FROM notion_record WHERE database = %(database)s AND record_id = %(record_id)s;

-- name: pages_of :many
-- The pages of some rows of a database. By the primary key.
SELECT record_id, page_id FROM notion_record
WHERE database = %(database)s AND record_id = ANY(%(records)s::uuid[]) AND page_id IS NOT NULL;

-- name: records_of :many
-- The rows of some pages. Served by notion_record_page.
SELECT page_id, record_id FROM notion_record
WHERE database = %(database)s AND page_id = ANY(%(pages)s::text[]);

-- name: deferred_records :many
-- Records with relations that could not be translated. Served by notion_record_deferred.
SELECT database, record_id, page_id, deferred FROM notion_record
WHERE deferred <> '{}' AND (%(database)s::text IS NULL OR database = %(database)s)
LIMIT %(limit)s;

-- name: claim_pushes :many
-- Lease changed rows, the longest due first; two processes never get the same. Served by
-- notion_push_due.
WITH due AS (
    SELECT database, record_id FROM notion_push
    WHERE due_at <= %(now)s AND NOT waits AND database = ANY(%(databases)s::text[])
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE notion_push AS push SET due_at = %(until)s FROM due
WHERE push.database = due.database AND push.record_id = due.record_id
RETURNING push.database, push.record_id, push.entity, push.revision, push.changed, push.attempts;

-- name: find_push :maybe
-- When columns of a row were changed. By the primary key.
SELECT changed FROM notion_push WHERE database = %(database)s AND record_id = %(record_id)s;

-- name: finish_push :none
-- The row is as it should be in Notion, unless it has been changed meanwhile. By the primary key.
DELETE FROM notion_push
WHERE database = %(database)s AND record_id = %(record_id)s AND revision = %(revision)s;

-- name: postpone_push :none
-- It cannot go now. By the primary key.
UPDATE notion_push SET due_at = %(due_at)s, waits = %(waits)s, error = %(error)s, attempts = attempts + 1
WHERE database = %(database)s AND record_id = %(record_id)s AND revision = %(revision)s;

-- name: release_push :none
-- It was not looked at: somebody else may take it. By the primary key.
UPDATE notion_push SET due_at = %(now)s
WHERE database = %(database)s AND record_id = %(record_id)s AND revision = %(revision)s;

-- name: queue_push :none
-- Look at a row though nothing in it has changed. By the primary key.
INSERT INTO notion_push (database, record_id, entity, revision, queued_at, due_at)
VALUES (%(database)s, %(record_id)s, %(entity)s, nextval('notion_push_revision'), now(), now())
ON CONFLICT (database, record_id) DO UPDATE SET
    revision = excluded.revision, due_at = excluded.due_at, waits = false, error = NULL;

-- name: wake_pushes :none
-- What waited may go on: a page was made, or a database is as declared again. Reads what waits.
UPDATE notion_push SET due_at = %(now)s, waits = false
WHERE waits AND (%(database)s::text IS NULL OR database = %(database)s);

-- name: hasten_pushes :none
-- A person has decided: what was put off goes now. Reads the queue.
UPDATE notion_push SET due_at = %(now)s WHERE database = %(database)s AND NOT waits;

-- name: pending_deletions :one
-- Pages that would go to the trash, of how many. Reads the queue of a database and its records.
SELECT
    count(*) FILTER (WHERE push.record_id IS NOT NULL AND (r.record_id IS NULL OR r.deleted_at IS NOT NULL)) AS pending,
    count(*) AS living
FROM notion_record AS record
LEFT JOIN notion_push AS push
    ON push.database = record.database AND push.record_id = record.record_id
LEFT JOIN {rows} AS r ON r.record_id = record.record_id
WHERE record.database = %(database)s AND record.state = 'ok' AND record.page_id IS NOT NULL;

-- name: list_conflicts :many
-- Records that have a value that lost, or that a person is to decide. By notion_record_open.
SELECT database, record_id, entity, page_id, conflict FROM notion_record
WHERE conflict <> '[]' AND (%(database)s::text IS NULL OR database = %(database)s)
    AND (%(entity)s::text IS NULL OR entity = %(entity)s)
ORDER BY database, record_id LIMIT %(limit)s;

-- name: count_records :many
-- How many rows of each database have a page, and how they stand. Reads the table.
SELECT database, state, count(*) AS records,
    count(*) FILTER (WHERE conflict @> jsonb_build_array(jsonb_build_object('open', true))) AS open
FROM notion_record GROUP BY database, state ORDER BY database, state;

-- name: count_pushes :many
-- What is still to go to Notion, and why it does not. Reads the queue.
SELECT database, count(*) AS rows, count(*) FILTER (WHERE waits) AS waiting, min(queued_at) AS since,
    (array_agg(error ORDER BY due_at DESC) FILTER (WHERE error IS NOT NULL))[1] AS error
FROM notion_push GROUP BY database ORDER BY database;

-- name: pages_of_instances :many
-- The pages that show some instances of workflows. By the primary key.
SELECT instance_id, page_id FROM notion_status
WHERE instance_id = ANY(%(instances)s::uuid[]) AND page_id IS NOT NULL;

-- name: instances_of_pages :many
-- The instances that some pages show. Served by notion_status_page.
SELECT page_id, instance_id FROM notion_status WHERE page_id = ANY(%(pages)s::text[]);
