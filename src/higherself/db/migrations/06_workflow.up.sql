-- 06_workflow: definitions, instances and their history.
-- An instance is a row: where it is, as one JSON value, and beside it what lists are made of. Every
-- step changes that row, adds to the history and changes messages in one statement, and names the
-- sequence it began from, so of two steps from one place the second changes nothing.
-- Locks: entity, briefly, for the foreign keys. With the previous release: it knows none of this.

CREATE TABLE workflow_definition (
    workflow text NOT NULL,
    version integer NOT NULL,
    content_hash bytea NOT NULL,
    -- As it was normalised: the same definition has the same bytes.
    definition json NOT NULL,
    -- As it was written, for people; empty if it was made in a program.
    source text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT workflow_definition_key PRIMARY KEY (workflow, version),
    CONSTRAINT workflow_definition_counts_up CHECK (version >= 1)
);

CREATE TABLE workflow_instance (
    instance_id uuid PRIMARY KEY,
    entity text NOT NULL CONSTRAINT workflow_instance_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    workflow text NOT NULL,
    version integer NOT NULL,
    -- Whoever starts it twice with one key, starts it once.
    key text,
    status text NOT NULL,
    state text NOT NULL,
    -- That of the last entry of its history: the fence of every step.
    sequence integer NOT NULL,
    snapshot json NOT NULL,
    -- What it waits for, in plain words; and the kind of that, for counting.
    reason text NOT NULL,
    waits_for text,
    -- Why what it asks for cannot be done now: nobody here has the skill, every agent is busy.
    obstacle text,
    parent_id uuid,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT workflow_instance_of_definition FOREIGN KEY (workflow, version)
        REFERENCES workflow_definition (workflow, version),
    CONSTRAINT workflow_instance_status_is_known CHECK (
        status IN ('running', 'waiting', 'paused', 'completed', 'failed', 'cancelled')
    ),
    CONSTRAINT workflow_instance_end_has_its_time CHECK (
        (status IN ('completed', 'cancelled')) = (finished_at IS NOT NULL)
    )
) WITH (fillfactor = 70);  -- most steps change no index, and so stay on their page
CREATE UNIQUE INDEX workflow_instance_once ON workflow_instance (entity, workflow, key) WHERE key IS NOT NULL;
CREATE INDEX workflow_instance_by_status ON workflow_instance (status, instance_id);
CREATE INDEX workflow_instance_by_workflow ON workflow_instance (workflow, status, instance_id);
CREATE INDEX workflow_instance_by_entity ON workflow_instance (entity, instance_id);
CREATE INDEX workflow_instance_by_parent ON workflow_instance (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX workflow_instance_unfinished ON workflow_instance (workflow, version)
    WHERE finished_at IS NULL;

-- No foreign key: an entry is only ever written in the statement that changes its instance, and to
-- have each checked took a fifth of that statement. Entries go with their instance, by a trigger.
CREATE TABLE workflow_history (
    instance_id uuid NOT NULL,
    sequence integer NOT NULL,
    entity text NOT NULL,
    at timestamptz NOT NULL,
    entry json NOT NULL,
    -- The identifier that an event came with: it counts once, however old it is.
    event_id text,
    CONSTRAINT workflow_history_key PRIMARY KEY (instance_id, sequence)
);
CREATE UNIQUE INDEX workflow_history_event ON workflow_history (instance_id, event_id)
    WHERE event_id IS NOT NULL;

-- What has happened is never changed.
CREATE FUNCTION workflow_history_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history of an instance is never changed' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER workflow_history_is_final BEFORE UPDATE ON workflow_history
    FOR EACH ROW EXECUTE FUNCTION workflow_history_is_final();

CREATE FUNCTION workflow_history_goes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM workflow_history AS entry USING gone WHERE entry.instance_id = gone.instance_id;
    RETURN NULL;
END $$;
CREATE TRIGGER workflow_history_goes AFTER DELETE ON workflow_instance
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION workflow_history_goes();

ALTER TABLE workflow_instance ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_instance FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON workflow_instance USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE workflow_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_history FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON workflow_history USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
