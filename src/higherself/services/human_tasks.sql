-- What people are asked to decide or to answer.

-- name: open_human_task :maybe
-- Store what is asked, once for its key, under a ticket that is free; no row back: one of both is taken.
INSERT INTO human_task (
    human_task_id, ticket, entity, key, kind, title, text, details, roles, severity, source,
    instance_id, correlation_id, assignee, due_at, created_at
) VALUES (
    %(id)s, %(ticket)s, %(entity)s, %(key)s, %(kind)s, %(title)s, %(text)s, %(details)s::json,
    %(roles)s, %(severity)s, %(source)s, %(instance)s, %(correlation)s, %(assignee)s, %(due_at)s,
    %(now)s
)
ON CONFLICT DO NOTHING
RETURNING *;

-- name: find_human_task_of_key :maybe
-- What was asked under a key.
SELECT * FROM human_task WHERE entity = %(entity)s AND key = %(key)s;

-- name: find_human_task :maybe
-- One by its ticket.
SELECT * FROM human_task WHERE ticket = %(ticket)s;

-- name: find_human_task_of_record :maybe
-- The one whose row among the tasks this is.
SELECT * FROM human_task WHERE task_record = %(record)s;

-- name: list_human_tasks :many
-- Those of a kind: what is not decided first, by when it is due; then the latest.
SELECT * FROM human_task
WHERE kind = %(kind)s
    AND (%(statuses)s::text [] IS NULL OR status = ANY(%(statuses)s))
    AND (%(of_entity)s::text IS NULL OR entity = %(of_entity)s)
    AND (%(instance)s::uuid IS NULL OR instance_id = %(instance)s)
ORDER BY status = 'decided', CASE WHEN status <> 'decided' THEN due_at END NULLS LAST, created_at DESC, human_task_id
LIMIT %(limit)s;

-- name: note_record :none
-- Note which row among the tasks it is.
UPDATE human_task SET task_record = %(record)s WHERE human_task_id = %(id)s AND task_record IS NULL;

-- name: take_human_task :maybe
-- Note that somebody sees to it.
UPDATE human_task SET status = 'in_progress', assignee = %(assignee)s
WHERE ticket = %(ticket)s AND status <> 'decided'
RETURNING *;

-- name: decide_human_task :maybe
-- Store the decision, unless there is one.
UPDATE human_task SET
    status = 'decided', decision = %(decision)s, answer = %(answer)s, notes = %(notes)s,
    more = %(more)s::json, decided_by = %(by)s, decided_at = %(now)s
WHERE ticket = %(ticket)s AND status <> 'decided'
RETURNING *;

-- name: untold_human_tasks :many
-- Decisions that who waits has not heard.
SELECT * FROM human_task
WHERE status = 'decided' AND told_at IS NULL AND decided_at < %(before)s
ORDER BY decided_at
LIMIT %(limit)s;

-- name: note_told :none
-- Note that who waits has heard it, or never will.
UPDATE human_task SET told_at = %(now)s, told = %(told)s
WHERE human_task_id = %(id)s AND told_at IS NULL;
