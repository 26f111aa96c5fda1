-- 10_collaboration: what agents do together, and what is learnt from it.
-- A collaboration is a row: its plan, and where it is, as JSON; beside it stands what reports are made
-- of. Each asking of an agent is a row of its own, so that an answer finds it by the message that it
-- answers, and times are the server's. A row and the messages that follow from it change in one
-- transaction, which names the sequence it began from.
-- Locks: entity, briefly, for the foreign keys. With the previous release: it knows none of this.

CREATE TABLE collaboration (
    collaboration_id uuid PRIMARY KEY,
    entity text NOT NULL CONSTRAINT collaboration_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    -- What its figures are kept under: a state of a workflow, or what a program said.
    name text NOT NULL,
    pattern text NOT NULL,
    -- Whoever starts it twice with one key, starts it once.
    key text,
    plan json NOT NULL,
    state json NOT NULL,
    -- Counts its changes: the fence of every one.
    sequence integer NOT NULL,
    status text NOT NULL,
    outcome json,
    reason text NOT NULL DEFAULT '',
    failure text NOT NULL DEFAULT '',
    -- The conversation that it is a part of, and what that may still cost.
    correlation_id text NOT NULL,
    hop_count smallint NOT NULL,
    budget_micro_usd bigint,
    budget_tokens bigint,
    -- The instance and the attempt of its activity that wait for the outcome, if any.
    instance_id uuid,
    activity_key text,
    activity_attempt integer,
    -- What a person is asked, if one is.
    question json,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT collaboration_status_is_known CHECK (
        status IN ('running', 'undoing', 'completed', 'failed', 'cancelled')
    ),
    CONSTRAINT collaboration_end_has_its_time CHECK (
        (status IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL)
    )
);
CREATE UNIQUE INDEX collaboration_once ON collaboration (entity, key) WHERE key IS NOT NULL;
CREATE INDEX collaboration_by_start ON collaboration (started_at);
CREATE INDEX collaboration_by_name ON collaboration (entity, name, started_at);
CREATE INDEX collaboration_of_activity ON collaboration (activity_key) WHERE activity_key IS NOT NULL;

CREATE TABLE collaboration_task (
    collaboration_id uuid NOT NULL
        CONSTRAINT collaboration_task_of_collaboration REFERENCES collaboration ON DELETE CASCADE,
    task text NOT NULL,
    entity text NOT NULL CONSTRAINT collaboration_task_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    step text NOT NULL,
    kind text NOT NULL,
    attempt integer NOT NULL,
    -- Who was meant, and who was asked.
    wanted text NOT NULL,
    agent text NOT NULL,
    message_id uuid NOT NULL,
    status text NOT NULL,
    error text NOT NULL DEFAULT '',
    cost_micro_usd bigint NOT NULL DEFAULT 0,
    asked_at timestamptz NOT NULL,
    answered_at timestamptz,
    CONSTRAINT collaboration_task_key PRIMARY KEY (collaboration_id, task)
);
CREATE UNIQUE INDEX collaboration_task_by_message ON collaboration_task (message_id);
CREATE INDEX collaboration_task_by_entity ON collaboration_task (entity);

-- What figures suggest to change, and what people decided about it.
CREATE TABLE pattern_proposal (
    proposal_id uuid PRIMARY KEY,
    entity text NOT NULL CONSTRAINT pattern_proposal_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    name text NOT NULL,
    -- Empty: it is about all of it.
    step text NOT NULL,
    kind text NOT NULL,
    change json NOT NULL,
    reason text NOT NULL,
    gain_seconds double precision NOT NULL,
    gain_share double precision NOT NULL,
    samples integer NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT pattern_proposal_status_is_known CHECK (
        status IN ('open', 'approved', 'declined', 'reverted', 'replaced')
    )
);
-- One change of a kind is open, and one in force, at a time.
CREATE UNIQUE INDEX pattern_proposal_once ON pattern_proposal (entity, name, step, kind, status)
    WHERE status IN ('open', 'approved');

CREATE TABLE pattern_decision (
    decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    proposal_id uuid NOT NULL
        CONSTRAINT pattern_decision_of_proposal REFERENCES pattern_proposal ON DELETE CASCADE,
    entity text NOT NULL CONSTRAINT pattern_decision_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    decision text NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL
);
CREATE INDEX pattern_decision_by_proposal ON pattern_decision (proposal_id);
CREATE INDEX pattern_decision_by_entity ON pattern_decision (entity);

ALTER TABLE collaboration ENABLE ROW LEVEL SECURITY;
ALTER TABLE collaboration FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON collaboration USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE collaboration_task ENABLE ROW LEVEL SECURITY;
ALTER TABLE collaboration_task FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON collaboration_task USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE pattern_proposal ENABLE ROW LEVEL SECURITY;
ALTER TABLE pattern_proposal FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON pattern_proposal USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE pattern_decision ENABLE ROW LEVEL SECURITY;
ALTER TABLE pattern_decision FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON pattern_decision USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
