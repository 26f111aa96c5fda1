-- name: add_delivery :maybe
-- Store what is to be sent, once for its key; no row back: it is there already.
INSERT INTO delivery (
    delivery_id, entity, key, channel, recipients, sender, about, purpose, name, headers, content,
    status, reason, attempts, leased_until, unsubscribe, correlation_id, instance_id, agent, created_at
) VALUES (
    %(delivery_id)s, %(entity)s, %(key)s, %(channel)s, %(recipients)s, %(sender)s, %(about)s,
    %(purpose)s, %(name)s, %(headers)s::json, %(content)s, %(status)s, %(reason)s, %(attempts)s,
    CASE WHEN %(status)s::text = 'sending' THEN now() + %(lease)s::interval END, %(unsubscribe)s,
    %(correlation_id)s, %(instance_id)s, %(agent)s, %(created_at)s
)
ON CONFLICT (entity, key) DO NOTHING
RETURNING *;

-- name: find_by_key :maybe
-- What was given under a key.
SELECT * FROM delivery WHERE entity = %(entity)s AND key = %(key)s;

-- name: find_delivery :maybe
-- One delivery.
SELECT * FROM delivery WHERE delivery_id = %(delivery_id)s;

-- name: note_handed_over :maybe
-- From now on it may have arrived; no row back: it is another's by now.
UPDATE delivery SET handed_over = true
WHERE delivery_id = %(delivery_id)s AND status = 'sending' AND attempts = %(attempts)s
    AND leased_until > now()
RETURNING delivery_id;

-- name: settle_delivery :maybe
-- Note how an attempt ended, unless it is another's by now.
UPDATE delivery SET
    status = %(status)s, reason = %(reason)s, answer = %(answer)s, due_at = %(due_at)s,
    sent_at = %(sent_at)s, leased_until = NULL
WHERE delivery_id = %(delivery_id)s AND status = 'sending' AND attempts = %(attempts)s
RETURNING *;

-- name: claim_due :many
-- Take what is due of the channels that answer, the oldest first, for one attempt each.
UPDATE delivery SET
    status = 'sending', attempts = attempts + 1, due_at = NULL, handed_over = false,
    leased_until = now() + %(lease)s::interval
WHERE delivery_id IN (
    SELECT delivery_id FROM delivery
    WHERE status = 'queued' AND due_at <= now() AND channel <> ALL(%(without)s::text [])
    ORDER BY due_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING *;

-- name: claim_one :maybe
-- Take one that is queued, held, failed or of unknown end, because a person wants it sent.
UPDATE delivery SET
    status = 'sending', attempts = attempts + 1, due_at = NULL, handed_over = false,
    leased_until = now() + %(lease)s::interval, reason = ''
WHERE delivery_id = %(delivery_id)s AND status IN ('queued', 'held', 'failed', 'uncertain')
RETURNING *;

-- name: take_back :none
-- Give up on attempts whose process is gone: those that cannot have arrived are tried again.
UPDATE delivery SET
    status = CASE WHEN handed_over AND channel <> ALL(%(repeatable)s::text []) THEN 'uncertain' ELSE 'queued' END,
    due_at = CASE WHEN handed_over AND channel <> ALL(%(repeatable)s::text []) THEN NULL ELSE now() END,
    reason = CASE
        WHEN handed_over AND channel <> ALL(%(repeatable)s::text [])
            THEN 'its process ended while it was being handed over: it may have arrived'
        ELSE 'its process ended before it was handed over'
    END,
    leased_until = NULL
WHERE status = 'sending' AND leased_until < now();

-- name: list_deliveries :many
-- Deliveries, the newest first, after the one named.
SELECT
    delivery_id, entity, key, channel, recipients, sender, about, purpose, name, headers,
    ''::bytea AS content, status, reason, attempts, handed_over, due_at, leased_until, answer,
    unsubscribe, correlation_id, instance_id, agent, created_at, sent_at
FROM delivery
WHERE (%(status)s::text IS NULL OR status = %(status)s)
    AND (%(channel)s::text IS NULL OR channel = %(channel)s)
    AND (%(of_entity)s::text IS NULL OR entity = %(of_entity)s)
    AND (%(correlation)s::text IS NULL OR correlation_id = %(correlation)s)
    AND (%(before)s::uuid IS NULL OR (created_at, delivery_id) < (
        SELECT created_at, delivery_id FROM delivery WHERE delivery_id = %(before)s
    ))
ORDER BY created_at DESC, delivery_id DESC
LIMIT %(limit)s;

-- name: count_deliveries :many
-- How many there are of each status, and since when.
SELECT status, count(*)::int AS count, min(created_at) AS since FROM delivery
WHERE status IN ('queued', 'held', 'failed', 'uncertain')
GROUP BY status;

-- name: next_due :one
-- When the next is to be tried, or an attempt is to be given up.
SELECT extract(EPOCH FROM least(
    (SELECT min(due_at) FROM delivery WHERE status = 'queued' AND channel <> ALL(%(without)s::text [])),
    (SELECT min(leased_until) FROM delivery WHERE status = 'sending')
) - now())::float8 AS seconds;

-- name: forget_deliveries :none
-- Delete what ended long ago.
DELETE FROM delivery
WHERE created_at < %(before)s AND status IN ('sent', 'dropped', 'failed', 'uncertain', 'held');

-- name: find_wishes :many
-- What those of some addresses have asked for who have.
SELECT address, wish FROM suppression
WHERE entity = %(entity)s AND address = ANY(%(addresses)s::text []);

-- name: suppress :none
-- Note what somebody asked for; nobody who wants nothing gets more by it.
INSERT INTO suppression (entity, address, wish, origin, since)
VALUES (%(entity)s, %(address)s, %(wish)s, %(origin)s, %(now)s)
ON CONFLICT (entity, address) DO UPDATE SET wish = excluded.wish, origin = excluded.origin
WHERE suppression.wish <> 'nothing';

-- name: find_unsubscribe :maybe
-- The delivery whose receiver asks for no more.
SELECT entity, recipients FROM delivery WHERE unsubscribe = %(token)s;
