-- name: store_steps :many
-- Store steps of different instances, each whole or not at all, and return those that count: their
-- instance stood where the step began, and the message that led to it was still leased to us. All
-- that a step is, is this one statement: nothing can come between its parts. Parts that no step of
-- a batch has are left out, since even a part without rows costs a tenth of the whole.
-- Served by the primary keys of workflow_instance, workflow_history and message.
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(steps)s::json) AS given (
        n int, instance_id uuid, entity text, workflow text, version int, key text, parent_id uuid,
        before int, sequence int, status text, state text, snapshot json, reason text,
        waits_for text, at timestamptz, finished_at timestamptz, message_id uuid, lease int,
        ends boolean, event_id text, digest bytea
    )
), held AS MATERIALIZED (
    {hold_messages}
), stepped AS (
    UPDATE workflow_instance AS instance SET
        version = given.version, sequence = given.sequence, status = given.status,
        state = given.state, snapshot = given.snapshot, reason = given.reason,
        waits_for = given.waits_for, obstacle = NULL, updated_at = given.at,
        finished_at = given.finished_at
    FROM given
    WHERE instance.instance_id = given.instance_id AND instance.sequence = given.before
        AND (given.message_id IS NULL OR given.n IN (SELECT n FROM held))
        AND (given.event_id IS NULL OR NOT EXISTS (
            SELECT 1 FROM workflow_history AS before
            WHERE before.instance_id = given.instance_id AND before.event_id = given.event_id
        ))
    RETURNING given.n
), created AS (
    {create_instances}
), accepted AS MATERIALIZED (
    SELECT n FROM stepped
    UNION ALL
    SELECT given.n FROM given JOIN created USING (instance_id)
), told AS (
    INSERT INTO workflow_history (instance_id, sequence, entity, at, entry, event_id)
    SELECT told.instance_id, told.sequence, told.entity, told.at, told.entry, told.event_id
    FROM json_to_recordset(%(history)s::json) AS told (
        n int, instance_id uuid, sequence int, entity text, at timestamptz, entry json,
        event_id text
    )
    JOIN accepted USING (n)
), rewritten AS (
    {rewrite_messages}
), ended AS (
    {end_messages}
), withdrawn AS (
    {withdraw_messages}
), added AS (
    {add_messages}
)
SELECT n FROM accepted;

-- name: create_instances :many
-- A part of store_steps: the instances that begin. One does not whose key is taken, or whose
-- definition was replaced meanwhile (by its author, before any instance had used it).
INSERT INTO workflow_instance (
    instance_id, entity, workflow, version, key, parent_id, sequence, status, state, snapshot,
    reason, waits_for, started_at, updated_at, finished_at
)
SELECT
    instance_id, entity, workflow, version, key, parent_id, sequence, status, state, snapshot,
    reason, waits_for, at, at, finished_at
FROM given
WHERE before = 0 AND EXISTS (
    SELECT 1 FROM workflow_definition AS current
    WHERE current.workflow = given.workflow AND current.version = given.version
        AND current.content_hash = given.digest
)
ON CONFLICT DO NOTHING
RETURNING instance_id

-- name: create_nothing :many
-- In its place, if none begins.
SELECT NULL::uuid AS instance_id WHERE false

-- name: nothing :many
-- In the place of any other part.
SELECT

-- name: find_instance :maybe
-- One instance. Served by the primary key.
SELECT instance_id, entity, workflow, version, key, status, state, sequence, snapshot, reason,
    waits_for, obstacle, parent_id, started_at, updated_at, finished_at
FROM workflow_instance WHERE instance_id = %(instance_id)s;

-- name: find_instance_by_key :maybe
-- The instance that was started with a key. Served by workflow_instance_once.
SELECT instance_id, entity, workflow, version, key, status, state, sequence, snapshot, reason,
    waits_for, obstacle, parent_id, started_at, updated_at, finished_at
FROM workflow_instance
WHERE entity = %(entity)s AND workflow = %(workflow)s AND key = %(key)s;

-- name: find_snapshots :many
-- Where some instances are. Served by the primary key.
SELECT snapshot FROM workflow_instance WHERE instance_id = ANY(%(instances)s::uuid[]);

-- name: find_children :many
-- The instances that one has started and that have not ended. Served by workflow_instance_by_parent.
SELECT instance_id, key FROM workflow_instance
WHERE parent_id = %(parent_id)s AND finished_at IS NULL;

-- name: list_instances :many
-- A page of instances, the latest first, beginning after one of them.
-- Served by workflow_instance_by_status, _by_workflow, _by_entity or the primary key.
SELECT instance_id, entity, workflow, version, key, status, state, sequence, NULL AS snapshot,
    reason, waits_for, obstacle, parent_id, started_at, updated_at, finished_at
FROM workflow_instance
WHERE {conditions} AND (%(before)s::uuid IS NULL OR instance_id < %(before)s)
ORDER BY instance_id DESC LIMIT %(limit)s;

-- name: count_instances :one
-- How many instances a list has in all, counted up to a limit.
SELECT count(*) AS total FROM (
    SELECT 1 FROM workflow_instance WHERE {conditions} LIMIT %(limit)s
) AS counted;

-- name: every_instance :many
-- No condition.
true

-- name: of_status :many
status = %(status)s

-- name: of_workflow :many
workflow = %(workflow)s

-- name: of_workflow_and_status :many
workflow = %(workflow)s AND status = %(status)s

-- name: in_state :many
state = %(state)s

-- name: of_entity :many
entity = %(entity)s

-- name: conditions :many
-- What a list wants; what it does not ask for is not there, so that an index can serve the rest.
{served} AND {in_state} AND {of_entity}

-- name: note_obstacle :none
-- Note why what an instance asks for cannot be done now; the next step wipes it away.
UPDATE workflow_instance SET obstacle = %(obstacle)s
WHERE instance_id = %(instance_id)s AND obstacle IS DISTINCT FROM %(obstacle)s;

-- name: list_history :many
-- What has happened to an instance, in order. Served by the primary key.
SELECT entry FROM workflow_history
WHERE instance_id = %(instance_id)s AND sequence > %(after)s
    AND (%(until)s::int IS NULL OR sequence <= %(until)s)
ORDER BY sequence LIMIT %(limit)s;

-- name: find_event :maybe
-- Where an event of this identifier stands in the history. Served by workflow_history_event.
SELECT sequence FROM workflow_history
WHERE instance_id = %(instance_id)s AND event_id = %(event_id)s;

-- name: add_definition :many
-- Store a definition; return its row if it is new, or if no instance had used the one before.
INSERT INTO workflow_definition (workflow, version, content_hash, definition, source, created_at)
VALUES (%(workflow)s, %(version)s, %(content_hash)s, %(definition)s, %(source)s, %(now)s)
ON CONFLICT (workflow, version) DO UPDATE SET
    content_hash = excluded.content_hash, definition = excluded.definition,
    source = excluded.source, created_at = excluded.created_at
WHERE workflow_definition.content_hash <> excluded.content_hash AND NOT EXISTS (
    SELECT 1 FROM workflow_instance AS used
    WHERE used.workflow = excluded.workflow AND used.version = excluded.version
)
RETURNING workflow;

-- name: find_definition :maybe
-- A definition: of a version, or the latest. Served by the primary key.
SELECT workflow, version, content_hash, definition, source, created_at FROM workflow_definition
WHERE workflow = %(workflow)s AND (%(version)s::int IS NULL OR version = %(version)s)
ORDER BY version DESC LIMIT 1;

-- name: list_sources :many
-- The hashes of the texts that definitions were read from.
SELECT sha256(convert_to(source, 'UTF8')) AS digest FROM workflow_definition WHERE source <> '';

-- name: list_definitions :many
-- Every definition, the latest version of each first.
SELECT workflow, version, content_hash, created_at FROM workflow_definition
ORDER BY workflow, version DESC;

-- name: count_by_state :many
-- How many instances of a workflow are where, of those that have not ended.
-- Served by workflow_instance_unfinished.
SELECT workflow, version, status, state, coalesce(waits_for, '') AS waits_for, count(*) AS instances
FROM workflow_instance WHERE finished_at IS NULL
GROUP BY workflow, version, status, state, waits_for;
