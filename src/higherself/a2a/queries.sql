-- What agents elsewhere have asked of us, and what came of it.

-- name: create_task :maybe
-- Store a task, unless the message that asks is known: then nothing comes back. Index: a2a_task_once.
INSERT INTO a2a_task (
    task_id, entity, context_id, message_id, digest, message, state, version, created_at, updated_at
) VALUES (
    %(task)s, %(entity)s, %(context)s, %(message_id)s, %(digest)s, %(message)s::json, 'submitted', 1,
    %(now)s, %(now)s
)
ON CONFLICT (entity, message_id) DO NOTHING
RETURNING task_id;

-- name: note_request :none
-- Say which message of ours does the work of a new task.
UPDATE a2a_task SET request_id = %(request)s WHERE task_id = %(task)s;

-- name: task_of_message :maybe
-- The task that a message made. Index: a2a_task_once.
SELECT task_id, entity, context_id, message_id, digest, message, state, told, result, version,
    began_at, updated_at
FROM a2a_task WHERE entity = %(entity)s AND message_id = %(message_id)s;

-- name: task :maybe
-- One task of a business.
SELECT task_id, entity, context_id, message_id, digest, message, state, told, result, version,
    began_at, updated_at
FROM a2a_task WHERE task_id = %(task)s AND entity = %(entity)s;

-- name: move_task :maybe
-- Move a task on, if it has not ended, and is not there yet.
UPDATE a2a_task SET
    state = %(state)s, told = %(told)s, result = %(result)s::json, version = version + 1,
    began_at = CASE WHEN %(state)s = 'working' THEN %(now)s ELSE began_at END,
    updated_at = greatest(%(now)s, updated_at + interval '1 microsecond')
WHERE task_id = %(task)s AND state IN ('submitted', 'working') AND state <> %(state)s
RETURNING task_id;

-- name: task_of_request :maybe
-- The task whose work a message of ours does. Index: a2a_task_by_request.
SELECT task_id FROM a2a_task WHERE request_id = %(request)s;

-- name: list_tasks :many
-- A page of the tasks of a business, the one that moved last first. Index: a2a_task_latest.
SELECT task_id, entity, context_id, message_id, digest, message, state, told, result, version,
    began_at, updated_at
FROM a2a_task
WHERE entity = %(entity)s
    AND (%(context)s::text IS NULL OR context_id = %(context)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(since)s::timestamptz IS NULL OR updated_at >= %(since)s)
    AND (%(before)s::timestamptz IS NULL OR (updated_at, task_id) < (%(before)s, %(before_task)s::uuid))
ORDER BY updated_at DESC, task_id DESC
LIMIT %(limit)s;

-- name: count_tasks :one
-- How many there are on all pages.
SELECT count(*) AS tasks
FROM a2a_task
WHERE entity = %(entity)s
    AND (%(context)s::text IS NULL OR context_id = %(context)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(since)s::timestamptz IS NULL OR updated_at >= %(since)s);

-- name: knows_entity :maybe
-- Whether a business is known.
SELECT slug FROM entity WHERE slug = %(entity)s;

-- name: give_up_tasks :many
-- End what nobody has answered for too long. Index: a2a_task_by_age.
UPDATE a2a_task SET
    state = 'failed', told = %(told)s, version = version + 1, updated_at = %(now)s
WHERE state IN ('submitted', 'working') AND updated_at < %(before)s
RETURNING task_id;

-- name: prune_tasks :none
-- Forget what ended long ago. Index: a2a_task_by_age.
DELETE FROM a2a_task
WHERE state NOT IN ('submitted', 'working') AND updated_at < %(before)s;
