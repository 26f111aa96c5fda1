-- name: keep_refused :many
-- Keep what came by NATS and is no message: a dead letter, with its bytes and why. It may come again,
-- under the same identifier.
INSERT INTO message (
    message_id, topic, source, type, subject, time, correlation_id, hop_count, data, priority,
    status, due_at, reason, finished_at
)
SELECT
    message_id, topic, source, type, subject, statement_timestamp(), message_id::text, 0, data, 1,
    'dead', statement_timestamp(), reason, statement_timestamp()
FROM json_to_recordset(%(refused)s::json) AS given (
    message_id uuid, topic text, source text, type text, subject text, data json, reason text
)
ON CONFLICT (message_id) DO NOTHING
RETURNING message_id;
