-- name: still_wanted :maybe
-- Whether an instance still waits for an attempt of an activity; it keeps on doing so until the
-- transaction ends, since a step of it would wait. Served by the primary key.
SELECT instance_id FROM workflow_instance
WHERE instance_id = %(instance_id)s
    AND coalesce((snapshot -> 'pending' -> %(key)s::text ->> 'attempt')::int, 1) = %(attempt)s
    AND snapshot -> 'pending' -> %(key)s::text IS NOT NULL
FOR SHARE;
