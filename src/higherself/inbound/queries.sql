-- name: receive_delivery :maybe
-- Store a delivery once; no row back: it is there already. Where its source gives it no name,
-- whatever has the same content and came since %(since)s is the same. Served by webhook_delivery_once
-- and webhook_delivery_by_content.
INSERT INTO webhook_delivery (
    delivery_id, source, key, name, event, hint, subject, occurred_at, received_at, verified_at,
    body_hash, headers, body, status
)
SELECT
    %(delivery_id)s::uuid, %(source)s::text, %(key)s::text, %(name)s::text, %(event)s::text,
    %(hint)s::text, %(subject)s::text, %(occurred_at)s::timestamptz, %(received_at)s::timestamptz,
    %(received_at)s::timestamptz, %(body_hash)s::bytea, %(headers)s::json, %(body)s::bytea, 'received'
WHERE %(since)s::timestamptz IS NULL OR NOT EXISTS (
    SELECT FROM webhook_delivery
    WHERE source = %(source)s AND body_hash = %(body_hash)s AND received_at > %(since)s
)
ON CONFLICT (source, key) DO NOTHING
RETURNING delivery_id;

-- name: find_same :maybe
-- The delivery that was there already.
SELECT delivery_id FROM webhook_delivery
WHERE source = %(source)s AND (
    key = %(key)s
    OR (%(since)s::timestamptz IS NOT NULL AND body_hash = %(body_hash)s AND received_at > %(since)s)
)
ORDER BY received_at DESC
LIMIT 1;

-- name: begin_delivery :maybe
-- Take a delivery in hand, unless it has ended.
UPDATE webhook_delivery SET attempts = attempts + 1
WHERE delivery_id = %(delivery_id)s AND status = 'received'
RETURNING *;

-- name: hold_subject :maybe
-- What is known of a subject; nobody else may change it meanwhile.
INSERT INTO webhook_subject (entity, source, subject, standing, updated_at)
VALUES (%(entity)s, %(source)s, %(subject)s, '{}', %(now)s)
ON CONFLICT (entity, source, subject) DO UPDATE SET updated_at = excluded.updated_at
RETURNING standing;

-- name: save_subject :none
UPDATE webhook_subject SET standing = %(standing)s, updated_at = %(now)s
WHERE entity = %(entity)s AND source = %(source)s AND subject = %(subject)s;

-- name: decide_delivery :maybe
-- Keep what is to be announced, once: who comes second finds what the first has decided.
UPDATE webhook_delivery SET decided = %(decided)s, entity = coalesce(%(entity)s::text, entity)
WHERE delivery_id = %(delivery_id)s AND status = 'received' AND decided IS NULL
RETURNING delivery_id;

-- name: finish_delivery :none
UPDATE webhook_delivery
SET status = %(status)s, error = %(error)s, outcome = %(outcome)s, finished_at = %(now)s
WHERE delivery_id = %(delivery_id)s AND status = 'received';

-- name: note_error :none
-- Why an attempt came to nothing, while there will be another.
UPDATE webhook_delivery SET error = %(error)s
WHERE delivery_id = %(delivery_id)s AND status = 'received';

-- name: reopen_delivery :maybe
-- Have a delivery handled again. What was decided is decided anew, unless it has been announced.
UPDATE webhook_delivery
SET status = 'received', finished_at = NULL, attempts = 0, error = '',
    decided = CASE WHEN status = 'done' THEN decided END
WHERE delivery_id = %(delivery_id)s AND status <> 'received' AND body IS NOT NULL
RETURNING delivery_id, source, subject, entity;

-- name: show_delivery :maybe
SELECT * FROM webhook_delivery WHERE delivery_id = %(delivery_id)s;

-- name: list_deliveries :many
-- The latest deliveries, newest first. Served by webhook_delivery_by_age.
SELECT delivery_id, entity, source, name, event, subject, occurred_at, received_at, status,
    attempts, error, finished_at
FROM webhook_delivery
WHERE (%(source)s::text IS NULL OR source = %(source)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    AND (%(event)s::text IS NULL OR event = %(event)s)
ORDER BY received_at DESC, delivery_id DESC
LIMIT %(limit)s;

-- name: sources_standing :many
-- Of each source: when something came last, and what failed.
WITH named AS (
    SELECT source FROM webhook_source
    UNION
    SELECT unnest(%(sources)s::text[])
)
SELECT
    named.source,
    (SELECT max(received_at) FROM webhook_delivery AS d WHERE d.source = named.source) AS received_at,
    (SELECT count(*) FROM webhook_delivery AS d
     WHERE d.source = named.source AND d.status = 'failed') AS failed,
    coalesce(s.refused, 0) AS refused,
    s.refused_at,
    coalesce(s.reason, '') AS reason
FROM named LEFT JOIN webhook_source AS s ON s.source = named.source
ORDER BY named.source;

-- name: note_refusals :none
INSERT INTO webhook_source (source, refused, refused_at, reason)
VALUES (%(source)s, %(count)s, %(now)s, %(reason)s)
ON CONFLICT (source) DO UPDATE
SET refused = webhook_source.refused + excluded.refused, refused_at = excluded.refused_at,
    reason = excluded.reason;

-- name: empty_deliveries :none
-- Forget what old deliveries said. Served by webhook_delivery_full.
UPDATE webhook_delivery SET headers = NULL, body = NULL
WHERE delivery_id IN (
    SELECT delivery_id FROM webhook_delivery
    WHERE body IS NOT NULL AND received_at < %(before)s AND status <> 'received'
    LIMIT 1000
);

-- name: prune_deliveries :none
-- Forget that they came. Served by webhook_delivery_by_age.
DELETE FROM webhook_delivery
WHERE delivery_id IN (
    SELECT delivery_id FROM webhook_delivery WHERE received_at < %(before)s LIMIT 1000
);

-- name: prune_subjects :none
-- Forget subjects of which nothing was heard for long. Served by webhook_subject_by_age.
DELETE FROM webhook_subject
WHERE (entity, source, subject) IN (
    SELECT entity, source, subject FROM webhook_subject WHERE updated_at < %(before)s LIMIT 1000
);
