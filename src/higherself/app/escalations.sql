-- What led to a question for people.

-- name: messages_of_conversation :many
-- The last messages of a conversation, in order.
SELECT message_id, at, source, topic, type, data FROM (
    SELECT message_id, time AS at, source, topic, type, data, sequence FROM message
    WHERE correlation_id = %(correlation)s
    ORDER BY sequence DESC
    LIMIT %(limit)s
) AS last
ORDER BY sequence;
