-- name: hold_budget :one
-- Hold the budget of a token until the transaction ends. Served by the primary key.
INSERT INTO notion_budget AS held (token) VALUES (%(token)s)
ON CONFLICT (token) DO UPDATE SET token = excluded.token
RETURNING held.paused_until, held.reason, held.live_waits_until, held.announced_waits_until;

-- name: grants :many
-- What counts, the oldest first, after `hold_budget`. Served by notion_grant_by_age.
SELECT granted_at, requests, clock_timestamp() AS now FROM notion_grant
WHERE token = %(token)s AND granted_at > clock_timestamp() - %(whole)s::interval
ORDER BY granted_at;

-- name: server_time :one
SELECT clock_timestamp() AS now;

-- name: grant :one
-- Served by the primary key.
INSERT INTO notion_grant (token, granted_at, requests)
VALUES (%(token)s, %(now)s, %(requests)s) RETURNING grant_id;

-- name: drop_old_grants :none
-- Served by notion_grant_by_age.
DELETE FROM notion_grant
WHERE token = %(token)s AND granted_at <= %(now)s::timestamptz - %(whole)s::interval;

-- name: give_back :none
-- Requests that were granted and not made. Served by the primary key.
UPDATE notion_grant SET requests = requests - %(requests)s WHERE grant_id = %(grant)s;

-- name: live_waits :none
-- Served by the primary key.
UPDATE notion_budget SET live_waits_until = %(until)s WHERE token = %(token)s;

-- name: announced_waits :none
-- Served by the primary key.
UPDATE notion_budget SET announced_waits_until = %(until)s WHERE token = %(token)s;

-- name: pause :none
-- Let nothing leave for a while, if a longer pause is not on already. Served by the primary key.
INSERT INTO notion_budget AS held (token, paused_until, reason)
VALUES (%(token)s, clock_timestamp() + %(wait)s::interval, %(reason)s)
ON CONFLICT (token) DO UPDATE SET paused_until = excluded.paused_until, reason = excluded.reason
WHERE held.paused_until IS NULL OR held.paused_until < excluded.paused_until;

-- name: budget_now :maybe
-- How a token stands. Served by the primary key and notion_grant_by_age.
SELECT
    held.paused_until, held.reason, clock_timestamp() AS now,
    (
        SELECT coalesce(sum(given.requests), 0) FROM notion_grant AS given
        WHERE given.token = held.token AND given.granted_at > clock_timestamp() - %(whole)s::interval
    )::bigint AS used
FROM notion_budget AS held WHERE held.token = %(token)s;

-- name: begin_write :maybe
-- Remember a write; no row if it is remembered already. Served by the primary key.
INSERT INTO notion_write (key, kind, target, sent, intended_at, children)
VALUES (%(key)s, %(kind)s, %(target)s, %(sent)s, %(now)s, '{}')
ON CONFLICT (key) DO NOTHING
RETURNING
    key, kind, target, sent, intended_at, sent_at, done_at, result, children, '0'::interval AS sent_ago;

-- name: find_write :maybe
-- Served by the primary key.
SELECT
    key, kind, target, sent, intended_at, sent_at, done_at, result, children,
    coalesce(clock_timestamp() - sent_at, '0'::interval) AS sent_ago
FROM notion_write WHERE key = %(key)s;

-- name: sending_write :maybe
-- It leaves now, unless somebody else has sent it since `sent_at`. Served by the primary key.
UPDATE notion_write SET sent_at = clock_timestamp(), sender = %(sender)s
WHERE key = %(key)s AND done_at IS NULL
    AND (sender IS NOT DISTINCT FROM %(sender)s OR sent_at IS NOT DISTINCT FROM %(sent_at)s::timestamptz)
RETURNING key;

-- name: not_sent :none
-- It never left, or was refused: whoever comes next may send it at once. Served by the primary key.
UPDATE notion_write SET sent_at = NULL, sender = NULL WHERE key = %(key)s AND done_at IS NULL;

-- name: write_done :maybe
-- Served by the primary key.
UPDATE notion_write SET done_at = %(now)s, result = %(result)s, children = %(children)s
WHERE key = %(key)s AND done_at IS NULL
RETURNING key;

-- name: forget_write :none
-- It was refused: nothing was written. Served by the primary key.
DELETE FROM notion_write WHERE key = %(key)s AND done_at IS NULL;

-- name: give_up_result :many
-- What a write made long before this one was sent is something else of the same name: a workspace
-- that was made anew, as emulators are. Served by notion_write_made_once and the primary key.
DELETE FROM notion_write AS old USING notion_write AS mine
WHERE mine.key = %(key)s AND old.result = %(result)s AND old.kind LIKE 'create%%'
    AND old.key <> mine.key AND old.done_at < mine.sent_at
RETURNING old.key;

-- name: claimed :many
-- Which of these things writes are known to have made since. Served by notion_write_made_once and
-- notion_write_children.
SELECT result AS id FROM notion_write
WHERE kind LIKE 'create%%' AND result = ANY (%(ids)s) AND done_at >= %(since)s
UNION
SELECT made.id FROM notion_write AS done, unnest(done.children) AS made (id)
WHERE done.children && %(ids)s::text[] AND made.id = ANY (%(ids)s) AND done.done_at >= %(since)s;

-- name: under_way :one
-- Served by notion_write_under_way.
SELECT EXISTS (
    SELECT 1 FROM notion_write WHERE target = %(target)s AND done_at IS NULL
) AS under_way;

-- name: drop_old_writes :none
-- Served by notion_write_by_age.
DELETE FROM notion_write WHERE intended_at < %(before)s;

-- name: remember_echo :none
-- Served by the primary key.
INSERT INTO notion_echo (page_id, kind, hash, written_at)
VALUES (%(page)s, %(kind)s, %(hash)s, %(now)s)
ON CONFLICT (page_id, kind, hash) DO UPDATE SET written_at = excluded.written_at;

-- name: echo_seen :one
-- Served by the primary key.
SELECT EXISTS (
    SELECT 1 FROM notion_echo WHERE page_id = %(page)s AND kind = %(kind)s AND hash = %(hash)s
) AS seen;

-- name: drop_old_echoes :none
-- Served by notion_echo_by_age.
DELETE FROM notion_echo WHERE written_at < %(before)s;
