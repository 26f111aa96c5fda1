-- Agents: who is there, what they keep in mind, who has a conversation, what people are asked.
-- The clock of these statements is the server's own: whether an agent is present must not depend on
-- which machine asks.

-- name: register_agents :none
-- Store what agents say of themselves. The worker that started last is right.
INSERT INTO agent AS known (agent, card, seen_at)
SELECT agent, card, statement_timestamp()
FROM json_to_recordset(%(agents)s::json) AS given (agent text, card json)
ORDER BY agent
ON CONFLICT (agent) DO UPDATE SET card = EXCLUDED.card, seen_at = EXCLUDED.seen_at;

-- name: beat :many
-- Say that a worker is alive, and where its agents are; add how their tasks have ended since the last
-- time. (A row of `agent` is written once a minute: that is all its `seen_at` is needed for.)
WITH given AS (
    SELECT * FROM json_to_recordset(%(agents)s::json) AS given (
        agent text, card json, phase text, problem text, running integer, concurrency integer,
        done integer, failed integer, seconds double precision
    )
), known AS (
    INSERT INTO agent (agent, card, seen_at)
    SELECT agent, card, statement_timestamp() FROM given ORDER BY agent
    ON CONFLICT (agent) DO UPDATE SET seen_at = EXCLUDED.seen_at
        WHERE agent.seen_at < statement_timestamp() - interval '1 minute'
), counted AS (
    INSERT INTO agent_tally AS tally (agent, minute, done, failed, seconds)
    SELECT agent, date_trunc('minute', statement_timestamp()), done, failed, seconds
    FROM given WHERE done + failed > 0 ORDER BY agent
    ON CONFLICT (agent, minute) DO UPDATE SET
        done = tally.done + EXCLUDED.done,
        failed = tally.failed + EXCLUDED.failed,
        seconds = tally.seconds + EXCLUDED.seconds
)
INSERT INTO agent_presence AS present (
    worker, agent, phase, problem, running, concurrency, since, seen_at
)
SELECT %(worker)s, agent, phase, problem, running, concurrency, statement_timestamp(), statement_timestamp()
FROM given ORDER BY agent
ON CONFLICT (agent, worker) DO UPDATE SET
    since = CASE WHEN present.phase = EXCLUDED.phase THEN present.since ELSE EXCLUDED.since END,
    phase = EXCLUDED.phase, problem = EXCLUDED.problem, running = EXCLUDED.running,
    concurrency = EXCLUDED.concurrency, seen_at = EXCLUDED.seen_at
RETURNING agent;

-- name: leave :none
-- A worker runs no agents any more.
DELETE FROM agent_presence WHERE worker = %(worker)s;

-- name: list_agents :many
-- Every agent, where it is present, and how its tasks have ended lately.
SELECT agent.agent, agent.card, agent.seen_at,
    coalesce((
        SELECT json_agg(json_build_object(
            'worker', worker, 'phase', phase, 'problem', problem, 'running', running,
            'concurrency', concurrency, 'since', since, 'seen_at', present.seen_at
        ) ORDER BY worker)
        FROM agent_presence AS present
        WHERE present.agent = agent.agent
            AND present.seen_at > statement_timestamp() - %(absent_after)s::interval
    ), '[]') AS present,
    coalesce(lately.done, 0) AS done, coalesce(lately.failed, 0) AS failed,
    coalesce(lately.seconds, 0) AS seconds,
    EXISTS (SELECT FROM agent_handoff WHERE from_agent = agent.agent) AS hands_on
FROM agent
LEFT JOIN LATERAL (
    SELECT sum(done)::bigint AS done, sum(failed)::bigint AS failed, sum(seconds) AS seconds
    FROM agent_tally AS tally
    WHERE tally.agent = agent.agent AND tally.minute > statement_timestamp() - %(lately)s::interval
) AS lately ON true
ORDER BY agent.agent;

-- name: forget_absent :none
-- Delete what was left by workers of which nothing was heard for long.
DELETE FROM agent_presence WHERE seen_at < statement_timestamp() - interval '1 minute';

-- name: prune_agents :none
-- Delete agents that no worker has run for long.
DELETE FROM agent WHERE seen_at < statement_timestamp() - %(age)s::interval;

-- name: prune_tallies :none
-- Delete old counts. Served by agent_tally_by_age.
DELETE FROM agent_tally WHERE minute < statement_timestamp() - %(age)s::interval;

-- name: log_routings :none
-- Note decisions.
INSERT INTO agent_routing (entity, wanted, type, agent, way, reason, considered, at)
SELECT entity, wanted, type, agent, way, reason, considered, at
FROM json_to_recordset(%(routings)s::json) AS given (
    entity text, wanted text, type text, agent text, way text, reason text, considered json,
    at timestamptz
)
WHERE entity IS NULL OR EXISTS (SELECT FROM entity AS known WHERE known.slug = given.entity);

-- name: list_routings :many
-- The latest decisions, newest first. Served by the primary key.
SELECT routing_id, entity, wanted, type, agent, way, reason, considered, at FROM agent_routing
WHERE (%(entity)s::text IS NULL OR entity = %(entity)s)
    AND (%(agent)s::text IS NULL OR agent = %(agent)s)
ORDER BY routing_id DESC LIMIT %(limit)s;

-- name: prune_routings :none
-- Delete old decisions, and more of the latest than are to be kept.
DELETE FROM agent_routing
WHERE at < statement_timestamp() - %(age)s::interval
    OR routing_id <= (SELECT max(routing_id) FROM agent_routing) - %(most)s;

-- name: read_state :maybe
-- What an agent keeps in mind about a subject. Served by agent_state_once.
SELECT value, version FROM agent_state
WHERE agent = %(agent)s AND coalesce(entity, '') = coalesce(%(entity)s, '') AND subject = %(subject)s;

-- name: begin_state :maybe
-- Keep something in mind for the first time. No row: somebody else has begun.
INSERT INTO agent_state (agent, entity, subject, value, version, updated_at)
VALUES (%(agent)s, %(entity)s, %(subject)s, %(value)s, 1, statement_timestamp())
ON CONFLICT (agent, coalesce(entity, ''), subject) DO NOTHING
RETURNING version;

-- name: write_state :maybe
-- Keep something else in mind. No row: it is not at the version that was read.
UPDATE agent_state SET value = %(value)s, version = version + 1, updated_at = statement_timestamp()
WHERE agent = %(agent)s AND coalesce(entity, '') = coalesce(%(entity)s, '') AND subject = %(subject)s
    AND version = %(expected)s
RETURNING version;

-- name: drop_state :maybe
-- Keep nothing in mind. No row: it is not at the version that was read.
DELETE FROM agent_state
WHERE agent = %(agent)s AND coalesce(entity, '') = coalesce(%(entity)s, '') AND subject = %(subject)s
    AND version = %(expected)s
RETURNING version;

-- name: last_handoff :maybe
-- Who a conversation was handed to last. Served by agent_handoff_once.
SELECT sequence, to_agent FROM agent_handoff
WHERE correlation_id = %(conversation)s AND coalesce(entity, '') = coalesce(%(entity)s, '')
ORDER BY sequence DESC LIMIT 1;

-- name: successor :maybe
-- Who has a conversation that an agent handed on. No row: it has it, or never had it.
SELECT to_agent FROM agent_handoff AS last
WHERE correlation_id = %(conversation)s AND coalesce(entity, '') = coalesce(%(entity)s, '')
    AND to_agent <> %(agent)s
    AND sequence = (
        SELECT max(sequence) FROM agent_handoff AS each
        WHERE each.correlation_id = last.correlation_id
            AND coalesce(each.entity, '') = coalesce(last.entity, '')
    )
    AND EXISTS (
        SELECT FROM agent_handoff AS each
        WHERE each.correlation_id = last.correlation_id
            AND coalesce(each.entity, '') = coalesce(last.entity, '')
            AND each.from_agent = %(agent)s
    );

-- name: add_handoff :maybe
-- Hand a conversation on. No row: somebody else has done so meanwhile.
INSERT INTO agent_handoff (
    entity, correlation_id, sequence, from_agent, to_agent, reason, message_id, at
)
VALUES (
    %(entity)s, %(conversation)s, %(sequence)s, %(from_agent)s, %(to_agent)s, %(reason)s,
    %(message_id)s, statement_timestamp()
)
ON CONFLICT (correlation_id, coalesce(entity, ''), sequence) DO NOTHING
RETURNING sequence;

-- name: list_handoffs :many
-- Who had a conversation, in order.
SELECT correlation_id AS conversation, entity, sequence, from_agent, to_agent, reason, at
FROM agent_handoff
WHERE correlation_id = %(conversation)s AND (%(entity)s::text IS NULL OR entity = %(entity)s)
ORDER BY entity, sequence;

-- name: prune_handoffs :none
-- Delete what conversations of long ago were handed to. Served by agent_handoff_by_age.
DELETE FROM agent_handoff WHERE at < statement_timestamp() - %(age)s::interval;

-- name: cite :none
-- Keep what was used. What is cited may be gone by now: then so is the citation.
INSERT INTO agent_citation (message_id, number, entity, agent, document_id, chunk_id, quote, at)
SELECT %(message_id)s, number, %(entity)s, %(agent)s, document, chunk, quote, statement_timestamp()
FROM json_to_recordset(%(citations)s::json) AS given (
    number integer, document uuid, chunk bigint, quote text
)
WHERE EXISTS (
    SELECT FROM document WHERE document_id = given.document AND document.entity = %(entity)s
)
ON CONFLICT (message_id, number) DO UPDATE SET
    document_id = EXCLUDED.document_id, chunk_id = EXCLUDED.chunk_id, quote = EXCLUDED.quote;

-- name: list_citations :many
-- What was used in handling a message.
SELECT number, cited.document_id AS document, chunk_id AS chunk, quote, source,
    external_id AS name, title, trust, local_only
FROM agent_citation AS cited JOIN document USING (document_id)
WHERE message_id = %(message_id)s ORDER BY number;

-- name: prune_citations :none
-- Delete what was cited long ago. Served by agent_citation_by_age.
DELETE FROM agent_citation WHERE at < statement_timestamp() - %(age)s::interval;

-- name: open_escalation :maybe
-- Ask a person. No row: the key, or the ticket, is there already.
INSERT INTO agent_escalation (
    ticket, entity, agent, message_id, correlation_id, cause, key, severity, reason, attempts,
    details, status, assignee, due_at, opened_at, updated_at
)
VALUES (
    %(ticket)s, %(entity)s, %(agent)s, %(message_id)s, %(conversation)s, %(cause)s, %(key)s,
    %(severity)s, %(reason)s, %(attempts)s, %(details)s,
    CASE WHEN %(assignee)s::text IS NULL THEN 'open' ELSE 'in_progress' END, %(assignee)s,
    statement_timestamp() + %(within)s::interval, statement_timestamp(), statement_timestamp()
)
ON CONFLICT DO NOTHING
RETURNING ticket;

-- name: find_escalation_of_key :maybe
-- The ticket under which something was escalated. Served by agent_escalation_once.
SELECT ticket FROM agent_escalation WHERE key = %(key)s;

-- name: show_escalation :maybe
-- An escalation by its ticket.
SELECT ticket, entity, agent, correlation_id AS conversation, message_id AS message, severity, reason,
    attempts, details, status, assignee, answer, answered_by, answered_to, due_at, opened_at,
    updated_at, closed_at, cause
FROM agent_escalation WHERE ticket = %(ticket)s;

-- name: lock_escalation :maybe
-- The same, kept from others until the transaction ends.
SELECT ticket, entity, agent, correlation_id AS conversation, message_id AS message, severity, reason,
    attempts, details, status, assignee, answer, answered_by, answered_to, due_at, opened_at,
    updated_at, closed_at, cause
FROM agent_escalation WHERE ticket = %(ticket)s FOR UPDATE;

-- name: list_escalations :many
-- Escalations, the most severe and longest due first.
SELECT ticket, entity, agent, correlation_id AS conversation, message_id AS message, severity, reason,
    attempts, details, status, assignee, answer, answered_by, answered_to, due_at, opened_at,
    updated_at, closed_at, cause
FROM agent_escalation
WHERE (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s))
    AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    AND (%(conversation)s::text IS NULL OR correlation_id = %(conversation)s)
ORDER BY closed_at IS NOT NULL, due_at, ticket LIMIT %(limit)s;

-- name: take_escalation :maybe
-- Somebody sees to it. No row: it is over.
UPDATE agent_escalation
SET assignee = %(assignee)s, status = 'in_progress', updated_at = statement_timestamp()
WHERE ticket = %(ticket)s AND status IN ('open', 'in_progress')
RETURNING ticket;

-- name: end_escalation :maybe
-- It was answered, or given up. No row: it was already.
UPDATE agent_escalation
SET status = %(status)s, answer = %(answer)s, answered_by = %(answered_by)s,
    answered_to = %(answered_to)s, assignee = coalesce(assignee, %(answered_by)s),
    updated_at = statement_timestamp(), closed_at = statement_timestamp()
WHERE ticket = %(ticket)s AND status IN ('open', 'in_progress')
RETURNING ticket;

-- name: prune_escalations :none
-- Delete what was over long ago.
DELETE FROM agent_escalation WHERE closed_at < statement_timestamp() - %(age)s::interval;
