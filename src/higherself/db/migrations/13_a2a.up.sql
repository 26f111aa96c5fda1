-- 13_a2a: what agents elsewhere have asked of us (Agent2Agent), and what came of it.
-- The work itself is a message; a row here is what those outside know of it.
-- Locks: entity, briefly, for the foreign key. With the previous release: it knows none of this.
CREATE TABLE a2a_task (
    task_id uuid PRIMARY KEY,
    entity text NOT NULL CONSTRAINT a2a_task_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    context_id text NOT NULL,
    -- The identifier of the message that asked, given by whoever sent it: the same again is the same task.
    message_id text NOT NULL,
    digest bytea NOT NULL,
    message json NOT NULL,
    -- The message on our bus; its answer has this as its conversation.
    request_id uuid,
    state text NOT NULL,
    -- What is said of the state, and what came of the work.
    told text,
    result json,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    began_at timestamptz,
    updated_at timestamptz NOT NULL,
    CONSTRAINT a2a_task_state_is_known CHECK (
        state IN ('submitted', 'working', 'completed', 'failed', 'canceled', 'rejected')
    ),
    CONSTRAINT a2a_task_result_is_of_the_completed CHECK (result IS NULL OR state = 'completed')
);
CREATE UNIQUE INDEX a2a_task_once ON a2a_task (entity, message_id);
CREATE UNIQUE INDEX a2a_task_by_request ON a2a_task (request_id);
CREATE INDEX a2a_task_latest ON a2a_task (entity, updated_at, task_id);
CREATE INDEX a2a_task_by_age ON a2a_task (updated_at);
ALTER TABLE a2a_task ENABLE ROW LEVEL SECURITY;
ALTER TABLE a2a_task FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON a2a_task USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
