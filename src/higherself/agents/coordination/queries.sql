-- The clock of these statements is the server's own, statement_timestamp(): how long somebody took
-- must not depend on which machine asks.

-- name: read_clock :one
SELECT statement_timestamp() AS now;

-- name: begin_collaboration :maybe
-- Store a collaboration; no row if its key is taken. Served by collaboration_once.
INSERT INTO collaboration (
    collaboration_id, entity, name, pattern, key, plan, state, sequence, status, outcome, reason,
    failure, correlation_id, hop_count, budget_micro_usd, budget_tokens, instance_id, activity_key,
    activity_attempt, question, started_at, updated_at, finished_at
) VALUES (
    %(collaboration_id)s, %(entity)s, %(name)s, %(pattern)s, %(key)s, %(plan)s, %(state)s, 1,
    %(status)s, %(outcome)s, %(reason)s, %(failure)s, %(correlation_id)s, %(hop_count)s,
    %(budget_micro_usd)s, %(budget_tokens)s, %(instance_id)s, %(activity_key)s,
    %(activity_attempt)s, %(question)s, %(now)s, %(now)s,
    CASE WHEN %(ended)s THEN statement_timestamp() END
)
ON CONFLICT DO NOTHING
RETURNING collaboration_id;

-- name: change_collaboration :maybe
-- Store where a collaboration is, if it is still where the change began. Served by the primary key.
UPDATE collaboration SET
    state = %(state)s, sequence = sequence + 1, status = %(status)s, outcome = %(outcome)s,
    reason = %(reason)s, failure = %(failure)s, question = %(question)s,
    updated_at = statement_timestamp(),
    finished_at = CASE WHEN %(ended)s THEN statement_timestamp() END
WHERE collaboration_id = %(collaboration_id)s AND sequence = %(before)s
RETURNING collaboration_id, extract(epoch FROM statement_timestamp() - started_at)::float AS seconds;

-- name: find_collaboration :maybe
-- One collaboration, and what time it is. Served by the primary key.
SELECT statement_timestamp() AS now, *, (
    SELECT coalesce(sum(cost_micro_usd), 0)::bigint FROM collaboration_task AS task
    WHERE task.collaboration_id = collaboration.collaboration_id
) AS cost_micro_usd
FROM collaboration WHERE collaboration_id = %(collaboration_id)s;

-- name: find_by_key :maybe
-- The collaboration that was started with a key. Served by collaboration_once.
SELECT collaboration_id FROM collaboration WHERE entity = %(entity)s AND key = %(key)s;

-- name: find_of_activity :many
-- The collaborations of an activity that go on. Served by collaboration_of_activity.
SELECT collaboration_id, activity_attempt FROM collaboration
WHERE activity_key = %(activity_key)s AND finished_at IS NULL;

-- name: find_asked :maybe
-- Who was asked by a message, and for what. Served by collaboration_task_by_message.
SELECT collaboration_id, task, kind, agent FROM collaboration_task WHERE message_id = %(message_id)s;

-- name: note_asked :none
-- Note who is asked what, by which messages.
INSERT INTO collaboration_task (
    collaboration_id, task, entity, step, kind, attempt, wanted, agent, message_id, status, asked_at
)
SELECT
    %(collaboration_id)s, task, %(entity)s, step, kind, attempt, wanted, agent, message_id, 'asked',
    statement_timestamp()
FROM json_to_recordset(%(asked)s::json) AS asked (
    task text, step text, kind text, attempt int, wanted text, agent text, message_id uuid
)
ON CONFLICT DO NOTHING;

-- name: note_answered :many
-- Note what became of what was asked; return how long each took. What has ended stays as it is.
UPDATE collaboration_task AS task SET
    status = given.status, error = given.error, answered_at = statement_timestamp(),
    cost_micro_usd = given.cost
FROM json_to_recordset(%(answered)s::json) AS given (task text, status text, error text, cost bigint)
WHERE task.collaboration_id = %(collaboration_id)s AND task.task = given.task
    AND task.answered_at IS NULL
RETURNING task.task, task.step, task.status, task.message_id, task.attempt,
    extract(epoch FROM task.answered_at - task.asked_at)::float AS seconds;

-- name: list_tasks :many
-- What was asked in a collaboration, in order. Served by the primary key.
SELECT task, step, kind, attempt, wanted, agent, status, error, cost_micro_usd, asked_at, answered_at
FROM collaboration_task WHERE collaboration_id = %(collaboration_id)s
ORDER BY asked_at, task;

-- name: list_collaborations :many
-- The latest collaborations. Served by collaboration_by_start.
SELECT collaboration_id, entity, name, pattern, key, status, reason, question, instance_id,
    started_at, updated_at, finished_at
FROM collaboration
WHERE (%(entity)s::text IS NULL OR entity = %(entity)s)
    AND (%(name)s::text IS NULL OR name = %(name)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (NOT %(waiting)s OR question IS NOT NULL)
ORDER BY started_at DESC, collaboration_id LIMIT %(limit)s;

-- name: list_runs :many
-- What figures are made of: the latest collaborations that have ended.
SELECT collaboration_id, entity, name, pattern, status, plan,
    extract(epoch FROM finished_at - started_at)::float AS seconds
FROM collaboration
WHERE finished_at IS NOT NULL AND started_at >= %(since)s
    AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    AND (%(name)s::text IS NULL OR name = %(name)s)
ORDER BY started_at DESC LIMIT %(limit)s;

-- name: list_askings :many
-- What was asked in some collaborations. Served by collaboration_task_key.
SELECT collaboration_id, task, step, kind, attempt, wanted, agent, status, cost_micro_usd,
    extract(epoch FROM asked_at)::float AS asked,
    extract(epoch FROM answered_at)::float AS answered
FROM collaboration_task WHERE collaboration_id = ANY(%(collaborations)s::uuid[])
ORDER BY asked_at, collaboration_id, task;

-- name: list_proposals :many
-- What was proposed, the latest first, with who decided last.
SELECT proposal.*, decision.decided_by, decision.decided_at
FROM pattern_proposal AS proposal LEFT JOIN LATERAL (
    SELECT decided_by, decided_at FROM pattern_decision AS taken
    WHERE taken.proposal_id = proposal.proposal_id ORDER BY decision_id DESC LIMIT 1
) AS decision ON true
WHERE (%(entity)s::text IS NULL OR proposal.entity = %(entity)s)
    AND (%(name)s::text IS NULL OR proposal.name = %(name)s)
    AND (%(status)s::text IS NULL OR proposal.status = %(status)s)
    AND (%(proposal_id)s::uuid IS NULL OR proposal.proposal_id = %(proposal_id)s)
ORDER BY proposal.created_at DESC, proposal.proposal_id;

-- name: open_proposal :many
-- Store a proposal, in the place of an open one about the same. Served by pattern_proposal_once.
INSERT INTO pattern_proposal (
    proposal_id, entity, name, step, kind, change, reason, gain_seconds, gain_share, samples, status,
    created_at
) VALUES (
    %(proposal_id)s, %(entity)s, %(name)s, %(step)s, %(kind)s, %(change)s, %(reason)s,
    %(gain_seconds)s, %(gain_share)s, %(samples)s, 'open', statement_timestamp()
)
ON CONFLICT (entity, name, step, kind, status) WHERE status IN ('open', 'approved') DO UPDATE SET
    change = excluded.change, reason = excluded.reason, gain_seconds = excluded.gain_seconds,
    gain_share = excluded.gain_share, samples = excluded.samples, created_at = excluded.created_at
RETURNING proposal_id;

-- name: replace_approved :none
-- What is in force about the same is so no more.
UPDATE pattern_proposal AS old SET status = 'replaced' FROM pattern_proposal AS new
WHERE new.proposal_id = %(proposal_id)s AND old.entity = new.entity AND old.name = new.name
    AND old.step = new.step AND old.kind = new.kind AND old.status = 'approved'
    AND new.status = 'open';

-- name: decide_proposal :maybe
-- Decide about a proposal that stands where the decision begins. Served by the primary key.
UPDATE pattern_proposal SET status = %(status)s
WHERE proposal_id = %(proposal_id)s AND status = %(before)s
RETURNING proposal_id, entity;

-- name: note_decision :none
-- Note who decided what.
INSERT INTO pattern_decision (proposal_id, entity, decision, decided_by, decided_at)
VALUES (%(proposal_id)s, %(entity)s, %(decision)s, %(decided_by)s, statement_timestamp());
