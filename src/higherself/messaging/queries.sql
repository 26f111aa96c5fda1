-- The clock of these statements is the server's own, statement_timestamp(): whether a message is
-- due, expired or leased must not depend on which machine asks.

-- name: publish_messages :many
-- Store messages, in their order, and return the identifiers of those that were not there yet. The
-- same identifier may be published from several transactions at once: the later one waits for the
-- earlier. With `wake`, what is due soon wakes its consumers when the transaction commits, which
-- then waits for every other commit that wakes somebody; `unless_busy`: only if there is none just
-- now, and otherwise the caller does so afterwards. What is due later they find by themselves. (One
-- JSON text, because that is read in half the time of nineteen arrays, and keeps the bytes of
-- `data`.)
WITH published AS (
    {insert_messages}
    ON CONFLICT (message_id) DO NOTHING
    RETURNING {told_at_once}
), woken AS MATERIALIZED (
    SELECT pg_notify('message.' || topic, said)
    FROM (SELECT DISTINCT topic, said FROM published
          WHERE due_at <= statement_timestamp() + %(soon)s::interval) AS hasty
    WHERE %(wake)s AND (
        NOT %(unless_busy)s
        OR pg_try_advisory_xact_lock(hashtextextended('higherself.message.wake', 0))
    )
)
SELECT message_id, topic, (SELECT count(*) FROM woken) AS woken FROM published;

-- name: insert_messages :many
-- A part of whatever stores messages.
INSERT INTO message (
    message_id, entity, topic, source, type, subject, time, partition_key, correlation_id,
    causation_id, expires_at, hop_count, extensions, data, idempotency_key, lane, priority,
    status, due_at
)
SELECT
    message_id, entity, topic, source, type, subject, coalesce(time, statement_timestamp()),
    partition_key, correlation_id, causation_id,
    coalesce(expires_at, statement_timestamp() + lifetime), hop_count, extensions,
    coalesce(data, 'null'),
    idempotency_key, coalesce(entity, '') || '/' || partition_key, priority, 'ready',
    coalesce(not_before, statement_timestamp() + coalesce(delay, interval '0'))
FROM json_to_recordset(%(messages)s::json) AS given (
    message_id uuid, entity text, topic text, source text, type text, subject text,
    time timestamptz, partition_key text, correlation_id text, causation_id text,
    expires_at timestamptz, lifetime interval, hop_count smallint, extensions json, data json,
    idempotency_key text, priority smallint, not_before timestamptz, delay interval, after uuid
)

-- name: told_at_once :many
-- A part of them: what a notification says. An answer goes along whole, if there is room, to the one
-- process that waits for it: only it and who answers know the name of that topic, which is drawn.
message_id, topic, due_at,
    CASE
        WHEN topic LIKE 'reply.%%' AND octet_length(data::text) < 7000
            AND octet_length(row_to_json(message)::text) < 7900
        THEN row_to_json(message)::text ELSE ''
    END AS said

-- name: wake_consumers :many
-- Tell whoever listens that topics have something to look at. Lost if nobody listens.
SELECT pg_notify('message.' || topic, '')::text AS told
FROM unnest(%(topics)s::text[]) AS told_of (topic);

-- name: count_backlog :one
-- How many messages of a topic are due and not yet claimed, counted up to a limit: those of a
-- business, or all. Served by message_ready and message_in_lane.
SELECT count(*) AS backlog FROM (
    SELECT entity FROM message
    WHERE topic = %(topic)s AND status = 'ready' AND due_at <= statement_timestamp()
        AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    UNION ALL
    SELECT entity FROM message
    WHERE topic = %(topic)s AND lane IS NOT NULL AND status = 'waiting'
        AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    LIMIT %(limit)s
) AS due;

-- name: claim_messages :many
-- Lease due messages, up to so many of each topic: the most urgent first, then the longest due.
-- There is always a first row, with what else was seen; the columns of a message may be NULL there.
-- Messages with a lane are met, and left alone: `claim_in_lanes` is for them. Most topics have none,
-- and to get ready for those takes as long as all the rest.
--
-- Two consumers never wait for each other and never get the same message: SKIP LOCKED passes over
-- rows that another claim holds. A commit of this that is lost in a crash of the server does no harm,
-- so nobody waits for the disk: it is claimed again, and under another number, since the numbers are
-- drawn. Served by message_ready (a descent for each priority) and the primary key.
WITH hurried AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), candidate AS MATERIALIZED (
    SELECT due.message_id, due.lane
    FROM hurried, unnest(%(topics)s::text[], %(free)s::int[]) AS wanted (topic, free)
    CROSS JOIN LATERAL (
        SELECT next.message_id, next.lane
        FROM (VALUES (0), (1), (2)) AS rank (priority) CROSS JOIN LATERAL (
            SELECT message_id, lane FROM message
            WHERE topic = wanted.topic AND priority = rank.priority AND status = 'ready'
                AND due_at <= statement_timestamp()
            ORDER BY due_at, sequence LIMIT wanted.free FOR UPDATE SKIP LOCKED
        ) AS next
        LIMIT wanted.free
    ) AS due
), leased AS (
    UPDATE message SET
        status = 'leased', holds = true, attempt = message.attempt + 1,
        lease = message.lease + 1 + floor(random() * 1000)::int,
        leased_until = statement_timestamp() + %(lease)s::interval, leased_by = %(consumer)s
    FROM candidate
    WHERE message.message_id = candidate.message_id AND candidate.lane IS NULL
    RETURNING
        message.message_id, message.topic, message.entity, message.source, message.type,
        message.subject, message.time, message.partition_key, message.correlation_id,
        message.causation_id, message.expires_at, message.hop_count, message.extensions,
        message.data, message.sequence, message.lane, message.attempt, message.lapses,
        message.lease
)
SELECT statement_timestamp() AS now, met.in_lanes, leased.*
FROM (SELECT count(lane) AS in_lanes FROM candidate) AS met LEFT JOIN leased ON true;

-- name: claim_in_lanes :many
-- The same where some have a lane, with a `window`: how many to look at, at least.
--
-- Of a lane, only what stands first may be leased; what is behind it
-- is set aside (waiting), so that it is not met again by every claim. That is done only while the
-- row ahead is locked: whoever ends that one locks it as well, and then looks for what waits, with a
-- snapshot of its own (advance_lanes). If two claims see a lane differently and both lease from it,
-- the index message_in_flight refuses the second.
-- Served by message_ready (a descent for each priority), message_in_lane, the primary key.
WITH hurried AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), wanted AS MATERIALIZED (
    SELECT topic, free, greatest(free, %(window)s::int) AS window
    FROM unnest(%(topics)s::text[], %(free)s::int[]) AS wanted (topic, free)
), candidate AS MATERIALIZED (
    SELECT due.message_id, due.topic, due.lane, due.sequence, due.place, wanted.free
    FROM hurried, wanted CROSS JOIN LATERAL (
        SELECT next.message_id, next.topic, next.lane, next.sequence, row_number() OVER () AS place
        FROM (VALUES (0), (1), (2)) AS rank (priority) CROSS JOIN LATERAL (
            SELECT message_id, topic, lane, sequence FROM message
            WHERE topic = wanted.topic AND priority = rank.priority AND status = 'ready'
                AND due_at <= statement_timestamp()
            ORDER BY due_at, sequence LIMIT wanted.window FOR UPDATE SKIP LOCKED
        ) AS next
        LIMIT wanted.window
    ) AS due
), blocked AS MATERIALIZED (
    SELECT
        candidate.message_id, candidate.topic, candidate.place,
        CASE WHEN ahead.sequence < candidate.sequence THEN ahead.message_id END AS ahead_id
    FROM candidate CROSS JOIN LATERAL (
        SELECT message_id, sequence FROM message
        WHERE topic = candidate.topic AND lane = candidate.lane
            AND (holds OR status IN ('ready', 'waiting'))
            AND message_id <> candidate.message_id
            AND (
                status = 'leased'
                OR sequence < candidate.sequence AND (holds OR due_at <= statement_timestamp())
            )
        ORDER BY sequence LIMIT 1
    ) AS ahead
    WHERE candidate.lane IS NOT NULL
), locked AS MATERIALIZED (
    SELECT message_id FROM message
    WHERE message_id IN (SELECT ahead_id FROM blocked)
        AND (holds OR status IN ('ready', 'waiting'))
    FOR SHARE SKIP LOCKED
), parked AS (
    UPDATE message SET status = 'waiting'
    FROM blocked, locked
    WHERE message.message_id = blocked.message_id AND locked.message_id = blocked.ahead_id
    RETURNING message.message_id
), leased AS (
    UPDATE message SET
        status = 'leased', holds = true, attempt = message.attempt + 1,
        lease = message.lease + 1 + floor(random() * 1000)::int,
        leased_until = statement_timestamp() + %(lease)s::interval, leased_by = %(consumer)s
    FROM candidate
    WHERE message.message_id = candidate.message_id
        AND candidate.message_id NOT IN (SELECT message_id FROM blocked)
        AND candidate.place - (
            SELECT count(*) FROM blocked
            WHERE blocked.topic = candidate.topic AND blocked.place < candidate.place
        ) <= candidate.free
        AND (SELECT count(*) FROM locked) >= 0  -- first lock: what this has changed cannot be locked
    RETURNING
        message.message_id, message.topic, message.entity, message.source, message.type,
        message.subject, message.time, message.partition_key, message.correlation_id,
        message.causation_id, message.expires_at, message.hop_count, message.extensions,
        message.data, message.sequence, message.lane, message.attempt, message.lapses,
        message.lease
)
SELECT
    statement_timestamp() AS now, seen.met, (SELECT count(*) FROM parked) AS parked, leased.*
FROM (SELECT count(*) AS met FROM candidate) AS seen LEFT JOIN leased ON true;

-- name: read_answers :many
-- What has come for a process that asked, whose topic nobody else reads: so nothing is leased, and
-- nothing written, before whoever waits has it. Served by message_ready.
SELECT
    message_id, topic, entity, source, type, subject, time, partition_key, correlation_id,
    causation_id, expires_at, hop_count, extensions, data, sequence, lane, attempt, lapses, lease
FROM message
WHERE topic = %(topic)s AND status = 'ready' AND due_at <= statement_timestamp()
    AND message_id <> ALL(%(known)s::uuid[])
ORDER BY priority, due_at, sequence LIMIT %(limit)s;

-- name: look_ahead :one
-- When there will be something to claim that was not due `since` then, and when the first lease runs
-- out (our own have as long again, see claim_lapsed). Served by message_ready, message_in_flight.
SELECT
    statement_timestamp() AS now,
    (
        SELECT min(next.due_at)
        FROM unnest(%(topics)s::text[]) AS wanted (topic), (VALUES (0), (1), (2)) AS rank (priority)
        CROSS JOIN LATERAL (
            SELECT due_at FROM message
            WHERE topic = wanted.topic AND priority = rank.priority AND status = 'ready'
                AND due_at > %(since)s
            ORDER BY due_at, sequence LIMIT 1
        ) AS next
    ) AS due_at,
    (
        SELECT min(leased_until + CASE leased_by WHEN %(consumer)s THEN %(lease)s ELSE interval '0' END)
        FROM message WHERE topic = ANY(%(topics)s::text[]) AND status = 'leased'
    ) AS lapses_at;

-- name: claim_lapsed :many
-- Lease anew what a consumer leased and did not settle in time: to be settled, not handled. The new
-- number of the lease is the fence. What is our own has as long again: we may have been cut off for
-- a while, and renew it yet; or it was leased for us, and we never heard so. Served by
-- message_in_flight.
WITH lapsed AS MATERIALIZED (
    SELECT message_id FROM message
    WHERE topic = ANY(%(topics)s::text[]) AND status = 'leased'
        AND leased_until <= statement_timestamp()
            - CASE leased_by WHEN %(consumer)s THEN %(lease)s ELSE interval '0' END
    ORDER BY leased_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE message SET
    lease = message.lease + 1, lapses = message.lapses + 1, leased_by = %(consumer)s,
    leased_until = statement_timestamp() + %(lease)s::interval
FROM lapsed WHERE message.message_id = lapsed.message_id
RETURNING
    statement_timestamp() AS now, message.message_id, message.topic, message.entity, message.source,
    message.type, message.subject, message.time, message.partition_key, message.correlation_id,
    message.causation_id, message.expires_at, message.hop_count, message.extensions, message.data,
    message.sequence, message.lane, message.attempt, message.lapses, message.lease;

-- name: renew_leases :many
-- Extend leases that are still held, and return them. No index knows leased_until, so the row
-- changes in place. Nobody is waited for: a row that is locked is just being settled, or taken from
-- us, and the next renewal sees which.
WITH held AS MATERIALIZED (
    SELECT message_id, lease FROM unnest(%(message_ids)s::uuid[], %(leases)s::int[]) AS held (message_id, lease)
), free AS MATERIALIZED (
    SELECT message.message_id FROM held JOIN message USING (message_id, lease)
    FOR UPDATE OF message SKIP LOCKED
), renewed AS (
    UPDATE message SET leased_until = statement_timestamp() + %(lease)s::interval
    FROM free WHERE message.message_id = free.message_id
)
SELECT message_id FROM held JOIN message USING (message_id, lease);

-- name: read_clock :one
SELECT statement_timestamp() AS now;

-- name: settle_messages :many
-- Store what became of leased messages, and return those whose lease was still the last: it is
-- counted on, so that nobody settles twice. An instant that is NULL stays as it is. (No condition on
-- the status, which would make the planner begin with all that is leased.)
UPDATE message SET
    status = settled.status, due_at = coalesce(settled.due_at, message.due_at),
    attempt = settled.attempt, holds = settled.holds,
    errors = CASE WHEN settled.error IS NULL THEN errors ELSE errors || settled.error END,
    reason = settled.reason, lease = message.lease + 1, leased_until = NULL, leased_by = NULL,
    finished_at = CASE WHEN settled.status <> 'ready' THEN statement_timestamp() END
FROM json_to_recordset(%(settled)s::json) AS settled (
    message_id uuid, lease int, status text, due_at timestamptz, attempt int, holds boolean,
    error text, reason text
)
WHERE message.message_id = settled.message_id AND message.lease = settled.lease
RETURNING message.message_id;

-- name: advance_lanes :many
-- Where a message of a lane has ended, put back into the queue what waits there first. It must be a
-- statement of its own, after the one that ended it: only a new snapshot sees what was set aside
-- while that one waited for the lock. Served by message_in_lane.
WITH next AS MATERIALIZED (
    SELECT first.message_id FROM unnest(%(topics)s::text[], %(lanes)s::text[]) AS ended (topic, lane)
    CROSS JOIN LATERAL (
        SELECT message_id FROM message
        WHERE topic = ended.topic AND lane = ended.lane AND status = 'waiting'
        ORDER BY sequence LIMIT 1 FOR UPDATE
    ) AS first
)
UPDATE message SET status = 'ready' FROM next WHERE message.message_id = next.message_id
RETURNING message.message_id;

-- name: advance_lane :maybe
-- The same for one lane, in the transaction of a handler or a sender.
UPDATE message SET status = 'ready' WHERE message_id = (
    SELECT message_id FROM message
    WHERE topic = %(topic)s AND lane = %(lane)s AND status = 'waiting'
    ORDER BY sequence LIMIT 1 FOR UPDATE
)
RETURNING message_id;

-- name: deliver_messages :many
-- The same for what was handled and is done with: most of all, so it is spared what only the others
-- need.
UPDATE message SET
    status = 'delivered', holds = false, lease = message.lease + 1, leased_until = NULL,
    leased_by = NULL, reason = NULL, finished_at = statement_timestamp()
FROM unnest(%(message_ids)s::text::uuid[], %(leases)s::text::int[]) AS held (message_id, lease)
WHERE message.message_id = held.message_id AND message.lease = held.lease
RETURNING message.message_id;

-- name: deliver_and_publish :many
-- The same for messages that are answered: each answer (`after` names what it answers) is stored if
-- the lease was still held, and otherwise somebody else answers. It wakes as publish_messages does
-- `unless_busy`, and returns the topics in which nobody is woken.
WITH delivered AS (
    {deliver_messages}
), published AS (
    {insert_messages}
    WHERE given.after IN (SELECT message_id FROM delivered)
    ON CONFLICT (message_id) DO NOTHING
    RETURNING {told_at_once}
), woken AS MATERIALIZED (
    SELECT pg_notify('message.' || topic, said)
    FROM (SELECT DISTINCT topic, said FROM published
          WHERE due_at <= statement_timestamp() + %(soon)s::interval) AS hasty
    WHERE pg_try_advisory_xact_lock(hashtextextended('higherself.message.wake', 0))
)
SELECT
    message_id,
    -- (Counted, not asked for EXISTS: that would stop, and notify nobody else, at the first row.)
    CASE WHEN (SELECT count(*) FROM woken) = 0 THEN (SELECT array_agg(DISTINCT topic) FROM published) END
        AS asleep
FROM delivered;

-- name: deliver_message :maybe
-- End one message as delivered, in the transaction of the effects; no row if the lease is not the
-- last any more.
UPDATE message SET
    status = 'delivered', holds = false, lease = lease + 1, leased_until = NULL, leased_by = NULL,
    finished_at = statement_timestamp()
WHERE message_id = %(message_id)s AND lease = %(lease)s
RETURNING message_id;

-- name: note_handled :many
-- Note in a consumer's inbox that it handles a message, in the transaction of the effects. No row:
-- it has done so before. Another who is about to do the same waits here for our end.
INSERT INTO message_inbox (message_id, consumer, entity, handled_at)
VALUES (%(message_id)s, %(consumer)s, %(entity)s, statement_timestamp())
ON CONFLICT (message_id, consumer) DO NOTHING
RETURNING message_id;

-- name: cancel_message :maybe
-- End a message that has not ended, whoever has leased it, and return its lane.
UPDATE message SET
    status = 'cancelled', reason = %(reason)s, holds = false, lease = lease + 1,
    leased_until = NULL, leased_by = NULL, finished_at = statement_timestamp()
WHERE message_id = %(message_id)s AND status IN ('ready', 'waiting', 'leased')
RETURNING message_id, topic, lane;
