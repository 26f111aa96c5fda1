-- name: list_messages :many
-- The latest messages, newest first. Served by the partial indexes, one for each kind of status.
SELECT
    found.message_id, found.entity, found.topic, found.type, found.source, found.subject, found.time,
    found.partition_key, found.status, found.due_at, found.attempt, found.reason, found.finished_at
FROM (
    (SELECT * FROM message WHERE status = 'ready' AND {conditions}
     ORDER BY sequence DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM message WHERE lane IS NOT NULL AND status = 'waiting' AND {conditions}
     ORDER BY sequence DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM message WHERE status = 'leased' AND {conditions}
     ORDER BY sequence DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM message WHERE status = 'dead' AND {conditions}
     ORDER BY finished_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM message WHERE status IN ('delivered', 'expired', 'cancelled') AND {conditions}
     ORDER BY finished_at DESC LIMIT %(limit)s)
) AS found
ORDER BY found.sequence DESC LIMIT %(limit)s;

-- name: conditions :many
(%(status)s::text IS NULL OR status = %(status)s)
    AND (%(topic)s::text IS NULL OR topic = %(topic)s)
    AND (%(entity)s::text IS NULL OR entity = %(entity)s);

-- name: show_message :maybe
-- Everything that is known of one message. Served by the primary key.
SELECT
    message_id, entity, topic, type, source, subject, time, partition_key, correlation_id,
    causation_id, expires_at, hop_count, extensions, data, idempotency_key, sequence, priority,
    status, due_at, attempt, lapses, leased_until, leased_by, errors, reason, finished_at
FROM message WHERE message_id = %(message_id)s;

-- name: list_dead :many
-- The identifiers of dead letters, the oldest first. Served by message_dead.
SELECT message_id FROM message
WHERE status = 'dead' AND (%(topic)s::text IS NULL OR topic = %(topic)s)
    AND (%(entity)s::text IS NULL OR entity = %(entity)s)
ORDER BY finished_at;

-- name: requeue_message :maybe
-- Put a dead letter back, with all its attempts before it, and in its old place. If it has expired
-- meanwhile it expires no more: somebody wants it handled.
UPDATE message SET
    status = 'ready', due_at = statement_timestamp(), attempt = 0, lapses = 0, reason = NULL,
    finished_at = NULL, expires_at = nullif(greatest(expires_at, statement_timestamp()), statement_timestamp())
WHERE message_id = %(message_id)s AND status = 'dead'
RETURNING topic, lane;

-- name: discard_message :maybe
-- Give a dead letter up for good. Why it died stays with it.
UPDATE message SET
    status = 'cancelled', reason = 'discarded: ' || reason, holds = false,
    finished_at = statement_timestamp()
WHERE message_id = %(message_id)s AND status = 'dead'
RETURNING topic, lane;

-- name: count_topics :many
-- How many messages each topic has of each kind that needs somebody, and for how long the first has
-- been due. Served by the partial indexes.
SELECT
    topic,
    count(*) FILTER (WHERE status = 'ready' AND due_at <= statement_timestamp()) AS ready,
    count(*) FILTER (WHERE status = 'ready' AND due_at > statement_timestamp()) AS scheduled,
    count(*) FILTER (WHERE status = 'waiting') AS waiting,
    count(*) FILTER (WHERE status = 'leased') AS in_flight,
    count(*) FILTER (WHERE status = 'dead') AS dead,
    greatest(statement_timestamp() - min(due_at) FILTER (WHERE status IN ('ready', 'waiting')), interval '0')
        AS oldest
FROM (
    SELECT topic, status, due_at FROM message WHERE status = 'ready'
    UNION ALL
    SELECT topic, status, due_at FROM message WHERE lane IS NOT NULL AND status = 'waiting'
    UNION ALL
    SELECT topic, status, due_at FROM message WHERE status = 'leased'
    UNION ALL
    SELECT topic, status, due_at FROM message WHERE status = 'dead'
) AS unfinished
GROUP BY topic ORDER BY topic;

-- name: prune_messages :many
-- Delete some of the messages that have ended long ago; dead letters wait for a person. Several
-- processes may do so at once. Served by message_finished.
DELETE FROM message WHERE message_id IN (
    SELECT message_id FROM message
    WHERE status IN ('delivered', 'expired', 'cancelled')
        AND finished_at < statement_timestamp() - %(age)s::interval
    ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING message_id;

-- name: prune_inbox :many
-- The same for what consumers have noted. Served by message_inbox_by_age.
DELETE FROM message_inbox WHERE (message_id, consumer) IN (
    SELECT message_id, consumer FROM message_inbox
    WHERE handled_at < statement_timestamp() - %(age)s::interval
    ORDER BY handled_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING message_id;

-- name: free_waiting :many
-- Put back what waits in a lane with nothing ahead of it. That does not happen; if it does, this is
-- better than waiting for ever. Served by message_in_lane.
UPDATE message SET status = 'ready' WHERE message_id IN (
    SELECT message_id FROM message AS waiting
    WHERE lane IS NOT NULL AND status = 'waiting' AND NOT EXISTS (
        SELECT FROM message AS ahead
        WHERE ahead.topic = waiting.topic AND ahead.lane = waiting.lane
            AND (ahead.holds OR ahead.status IN ('ready', 'waiting'))
            AND ahead.sequence < waiting.sequence
    )
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING topic;
