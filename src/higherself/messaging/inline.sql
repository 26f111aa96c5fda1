-- Parts of a statement of another feature: what it does with messages in the same step as its own
-- rows. Around them stand `given` (n, message_id, lease) and `accepted` (n), the rows that count.

-- name: hold_messages :many
-- Lock the messages whose lease is still the last, so that it stays so until the statement ends.
SELECT given.n FROM given CROSS JOIN LATERAL (
    SELECT message_id FROM message
    WHERE message.message_id = given.message_id AND message.lease = given.lease
    FOR UPDATE
) AS leased

-- name: rewrite_messages :many
-- Have a message that is being handled say what is next: the same lease goes on for it.
UPDATE message SET
    type = next.type, subject = next.subject, data = next.data,
    attempt = 1, lapses = 0, errors = '{{}}'
FROM given, accepted, json_to_recordset(%(rewritten)s::json) AS next (n int, type text, subject text, data json)
WHERE message.message_id = given.message_id AND given.n = accepted.n AND next.n = given.n
RETURNING given.n

-- name: end_messages :many
-- Delete the messages that are handled: their effects are the record of them.
DELETE FROM message USING given, accepted
WHERE message.message_id = given.message_id AND given.ends AND given.n = accepted.n
RETURNING message.message_id

-- name: withdraw_messages :many
-- Delete messages that nobody waits for any more, whoever has them.
DELETE FROM message USING accepted, json_to_recordset(%(withdrawn)s::json) AS gone (n int, message_id uuid)
WHERE message.message_id = gone.message_id AND gone.n = accepted.n
RETURNING message.message_id

-- name: add_messages :many
-- Store new messages. One that is there already stays as it is.
INSERT INTO message (
    message_id, entity, topic, source, type, subject, time, correlation_id, causation_id, hop_count,
    data, priority, status, due_at
)
SELECT
    added.message_id, added.entity, added.topic, added.source, added.type, added.subject,
    statement_timestamp(), added.correlation_id, added.causation_id, 0, added.data, 1, 'ready',
    coalesce(added.due_at, statement_timestamp())
FROM json_to_recordset(%(added)s::json) AS added (
    n int, message_id uuid, entity text, topic text, source text, type text, subject text,
    correlation_id text, causation_id text, data json, due_at timestamptz
)
JOIN accepted USING (n)
ON CONFLICT (message_id) DO NOTHING
RETURNING message_id
