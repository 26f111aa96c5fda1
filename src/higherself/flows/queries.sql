-- What went to and fro in a conversation, for its picture.

-- name: messages_of :many
-- The messages of conversations, in the order in which they were published.
SELECT time AS at, source, topic, type FROM message
WHERE correlation_id = ANY(%(correlations)s::text [])
ORDER BY sequence
LIMIT 500;

-- name: letters_of :many
-- What went out because of conversations.
SELECT coalesce(sent_at, created_at) AS at, channel, recipients, about, status FROM delivery
WHERE correlation_id = ANY(%(correlations)s::text [])
ORDER BY created_at
LIMIT 200;

-- name: page_of_record :maybe
-- Which page in Notion a row is.
SELECT page_id FROM notion_record WHERE record_id = %(record)s AND page_id IS NOT NULL;
