-- What has happened, and what followed.

-- name: find_happening :maybe
-- One happening. By the primary key.
SELECT * FROM happening WHERE entity = %(entity)s AND id = %(id)s;

-- name: hold_person :none
-- Two that tell of the same person at once wait for each other: one of them is the earlier.
SELECT pg_advisory_xact_lock(hashtextextended(%(entity)s || '/' || %(type)s || '/' || %(person)s, 21));

-- name: earlier_happenings :many
-- What told of the same person before, the latest first. Served by happening_by_person.
SELECT id, source, duplicate_of FROM happening
WHERE entity = %(entity)s AND type = %(type)s AND person = %(person)s
    AND received_at >= %(since)s AND id <> %(id)s
ORDER BY received_at DESC LIMIT 50;

-- name: add_happening :maybe
-- Note that something has happened; nothing if that is known.
INSERT INTO happening (
    entity, id, type, source, correlation_id, data, contact_id, person, duplicate_of, status,
    happened_at, received_at
) VALUES (
    %(entity)s, %(id)s, %(type)s, %(source)s, %(correlation)s, %(data)s::json, %(contact)s,
    %(person)s, %(duplicate_of)s, 'open', %(at)s, %(now)s
)
ON CONFLICT (entity, id) DO NOTHING
RETURNING id;

-- name: set_event :none
-- Note the message that told the bus of it. By the primary key.
UPDATE happening SET event_id = %(event)s WHERE entity = %(entity)s AND id = %(id)s;

-- name: finish_happening :none
-- Note what came of it, once. By the primary key.
UPDATE happening SET status = %(status)s, outcome = %(outcome)s::json, finished_at = %(now)s
WHERE entity = %(entity)s AND id = %(id)s AND status = 'open';

-- name: claim_start :none
-- Note that it is about to start a workflow, unless its conversation has. By happening_start_key and
-- happening_start_by_correlation.
INSERT INTO happening_start (
    entity, happening_id, workflow, key, about, correlation_id, started_at
) VALUES (
    %(entity)s, %(id)s, %(workflow)s, %(key)s, %(about)s, %(correlation)s, %(now)s
)
ON CONFLICT DO NOTHING;

-- name: whose_start :many
-- Which happening of a conversation starts a workflow. Served by happening_start_by_correlation.
SELECT happening_id FROM happening_start
WHERE entity = %(entity)s AND correlation_id = %(correlation)s AND workflow = %(workflow)s;

-- name: note_start :none
-- Note the instance that it has started. By the primary key.
UPDATE happening_start SET instance_id = %(instance)s
WHERE entity = %(entity)s AND happening_id = %(id)s AND workflow = %(workflow)s;

-- name: contact_of_happening :many
-- The contact of a happening, as it is now. By the primary key.
SELECT * FROM contacts_profiles WHERE record_id = %(record)s AND entity = %(entity)s;

-- name: starts_of :many
-- What a happening has started. By the primary key.
SELECT workflow, key, instance_id FROM happening_start
WHERE entity = %(entity)s AND happening_id = %(id)s AND instance_id IS NOT NULL
ORDER BY started_at, workflow;

-- name: started_in_conversation :many
-- What other happenings of a conversation have started. Served by happening_start_by_correlation.
SELECT DISTINCT workflow FROM happening_start
WHERE entity = %(entity)s AND correlation_id = %(correlation)s AND happening_id <> %(id)s;

-- name: instances_about :many
-- The instances of a workflow that are about something and go on, the newest first. Served by
-- happening_start_by_about.
SELECT started.instance_id FROM happening_start AS started
JOIN workflow_instance AS instance ON instance.instance_id = started.instance_id
WHERE started.entity = %(entity)s AND started.workflow = %(workflow)s AND started.about = %(about)s
    AND instance.finished_at IS NULL
ORDER BY started.started_at DESC LIMIT 5;

-- name: list_happenings :many
-- What happened to a business lately, the latest first. Served by happening_by_time.
SELECT entity, id, type, source, correlation_id, contact_id, duplicate_of, status, outcome, happened_at,
    received_at, finished_at
FROM happening
WHERE (%(entity)s::text IS NULL OR entity = %(entity)s) AND (%(type)s::text IS NULL OR type = %(type)s)
ORDER BY received_at DESC, id LIMIT %(limit)s;

-- name: open_happenings :many
-- What nobody has gone on with for a while. Served by happening_open.
SELECT entity, id FROM happening WHERE status = 'open' AND received_at < %(before)s
ORDER BY received_at LIMIT %(limit)s;

-- name: prune_happenings :none
-- Forget what is long over. Served by happening_by_time.
DELETE FROM happening WHERE received_at < %(before)s AND status <> 'open';
