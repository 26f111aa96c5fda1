-- 20_human_tasks: what people are asked to decide or to answer: texts to review, requests that no agent
-- may or can answer. The decision is stored first, then told to who waits for it, until it is heard.
-- Locks: entity, briefly, for the foreign key. With the previous release: it knows none of this.

CREATE TABLE human_task (
    human_task_id uuid CONSTRAINT human_task_key PRIMARY KEY,
    ticket text NOT NULL CONSTRAINT human_task_ticket_once UNIQUE,
    entity text NOT NULL CONSTRAINT human_task_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    -- As whoever asks names it: it is asked once.
    key text NOT NULL,
    kind text NOT NULL,
    title text NOT NULL,
    text text NOT NULL,
    -- Everything that a person needs to decide: who it is about, what was said and tried, sources.
    details json NOT NULL,
    -- Who may decide; nobody named: everybody.
    roles text [] NOT NULL,
    severity int NOT NULL,
    source text NOT NULL,
    instance_id uuid,
    correlation_id text,
    -- Its row among the tasks, by which it is decided in Notion.
    task_record uuid,
    assignee text,
    status text NOT NULL DEFAULT 'open',
    decision text,
    -- The text as it was approved, or the answer.
    answer text,
    notes text NOT NULL DEFAULT '',
    more json,
    decided_by text,
    due_at timestamptz,
    created_at timestamptz NOT NULL,
    decided_at timestamptz,
    -- When who waits was told; and what came of it, if not that.
    told_at timestamptz,
    told text NOT NULL DEFAULT '',
    CONSTRAINT human_task_once UNIQUE (entity, key),
    CONSTRAINT human_task_kind_is_known CHECK (kind IN ('review', 'escalation')),
    CONSTRAINT human_task_status_is_known CHECK (status IN ('open', 'in_progress', 'decided')),
    CONSTRAINT human_task_decided_has_all CHECK (
        (status = 'decided') = (decision IS NOT NULL AND decided_by IS NOT NULL AND decided_at IS NOT NULL)
    ),
    CONSTRAINT human_task_severity_is_known CHECK (severity BETWEEN 1 AND 4)
);
CREATE INDEX human_task_open ON human_task (kind, due_at) WHERE status <> 'decided';
CREATE INDEX human_task_untold ON human_task (decided_at) WHERE status = 'decided' AND told_at IS NULL;
CREATE INDEX human_task_by_time ON human_task (created_at DESC, human_task_id DESC);
CREATE INDEX human_task_by_record ON human_task (task_record) WHERE task_record IS NOT NULL;

ALTER TABLE human_task ENABLE ROW LEVEL SECURITY;
ALTER TABLE human_task FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON human_task USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
