-- What the bus keeps beside messages: who wants to be told of which events, and the keys with which
-- messages from elsewhere are signed.

-- name: add_subscription :many
-- Have a group told of events from now on. It may say so as often as it likes.
INSERT INTO message_subscription (group_name, pattern, expression, only_entity, described, since)
VALUES (%(group)s, %(pattern)s, %(expression)s, %(entity)s, %(described)s, statement_timestamp())
ON CONFLICT (group_name, pattern, coalesce(only_entity, '')) DO UPDATE SET described = EXCLUDED.described
WHERE message_subscription.described <> EXCLUDED.described
RETURNING group_name;

-- name: list_subscriptions :many
-- All groups and what they want to be told of.
SELECT group_name, pattern, only_entity AS entity, described, since FROM message_subscription
ORDER BY group_name, pattern, only_entity;

-- name: drop_subscriptions :many
-- Tell a group no more; of one pattern, or of anything. What it has been told stays.
DELETE FROM message_subscription
WHERE group_name = %(group)s AND (%(pattern)s::text IS NULL OR pattern = %(pattern)s)
    AND (%(entity)s::text IS NULL OR only_entity = %(entity)s)
RETURNING group_name, pattern;

-- name: keep_key :many
-- Store a key, unless there is one of that name.
INSERT INTO message_key (key_name, secret, since)
VALUES (%(name)s, %(secret)s, statement_timestamp())
ON CONFLICT (key_name) DO NOTHING
RETURNING key_name;

-- name: read_key :one
SELECT secret FROM message_key WHERE key_name = %(name)s;

-- name: note_heard :maybe
-- Note in an inbox that a message was handled which came directly, in the transaction of its effects.
-- No row: it was handled before, whatever way it came then.
INSERT INTO message_inbox (message_id, consumer, entity, handled_at)
VALUES (%(message_id)s, %(consumer)s, %(entity)s, statement_timestamp())
ON CONFLICT (message_id, consumer) DO NOTHING
RETURNING message_id;

-- name: expire_answers :many
-- End answers that nobody has taken though nobody waits for them any more: the process that asked is
-- gone. Served by message_ready: only what is ready is read.
UPDATE message SET
    status = 'expired', reason = 'nobody waited for this answer any more', holds = false,
    lease = lease + 1, finished_at = statement_timestamp()
WHERE message_id IN (
    SELECT message_id FROM message
    WHERE topic LIKE 'reply.%%'
        AND status = 'ready' AND expires_at <= statement_timestamp()
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING message_id;

-- name: find_conversation :many
-- The tree that a message is in: up to what began it, and down to all that came of that, at most so
-- many. Served by the primary key and by message_caused.
WITH RECURSIVE up AS (
    SELECT message_id, causation_id, 0 AS steps FROM message WHERE message_id = %(message_id)s
    UNION ALL
    SELECT cause.message_id, cause.causation_id, up.steps + 1
    FROM up JOIN message AS cause ON cause.message_id = CASE
        WHEN translate(up.causation_id, '123456789abcdef', '000000000000000')
            = '00000000-0000-0000-0000-000000000000' THEN up.causation_id::uuid
    END
    WHERE up.steps < 100
), root AS (
    SELECT message_id FROM up ORDER BY steps DESC LIMIT 1
), down AS (
    SELECT message_id, 0 AS depth FROM root
    UNION ALL
    SELECT caused.message_id, down.depth + 1
    FROM down JOIN message AS caused ON caused.causation_id = down.message_id::text
    WHERE down.depth < 100
)
SELECT
    message_id, down.depth, topic, entity, source, type, subject, time, partition_key,
    correlation_id, causation_id, expires_at, hop_count, extensions, data, status, reason, attempt,
    lapses, due_at, finished_at, told, errors
FROM down JOIN message USING (message_id)
ORDER BY sequence LIMIT %(limit)s;
