-- Which workflows a business has set up, and with what.

-- name: find_setup :maybe
-- One set-up. By the primary key.
SELECT * FROM workflow_setup WHERE entity = %(entity)s AND workflow = %(workflow)s;

-- name: list_setups :many
-- Set-ups, of one business or one workflow. By the primary key or workflow_setup_by_workflow.
SELECT * FROM workflow_setup
WHERE (%(entity)s::text IS NULL OR entity = %(entity)s)
    AND (%(workflow)s::text IS NULL OR workflow = %(workflow)s)
ORDER BY workflow, entity;

-- name: save_setup :one
-- Set a workflow up, or change how.
INSERT INTO workflow_setup AS known (entity, workflow, settings, enabled, set_by, origin, set_at)
VALUES (%(entity)s, %(workflow)s, %(settings)s::json, %(enabled)s, %(by)s, %(origin)s, %(now)s)
ON CONFLICT (entity, workflow) DO UPDATE SET
    settings = excluded.settings, enabled = excluded.enabled, set_by = excluded.set_by,
    origin = excluded.origin, set_at = excluded.set_at
RETURNING *;
