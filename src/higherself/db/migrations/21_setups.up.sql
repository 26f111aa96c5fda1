-- 21_setups: what has happened to a business and what followed from it, and which workflows it has set
-- up with which settings. A happening is a row before anything follows from it, so whoever tells of it
-- again, or goes on where a killed process stopped, finds how far it is. What it has started is noted
-- beside it, by what the instance is about: so an event finds the instance of a contact or an order.
-- Locks: entity, briefly, for the foreign keys; contacts_profiles against writes while an index is
-- built. With the previous release: it knows none of this.

CREATE TABLE happening (
    entity text NOT NULL CONSTRAINT happening_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    -- As whoever told of it names it: it counts once.
    id text NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    correlation_id text NOT NULL,
    data json NOT NULL,
    -- The contact that was saved, and by what it is compared with others of its type.
    contact_id uuid,
    person text,
    -- The happening that told of the same before.
    duplicate_of text,
    event_id uuid,
    status text NOT NULL,
    -- What came of it, once that is known: {started, sent, logged, skipped}.
    outcome json,
    happened_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT happening_key PRIMARY KEY (entity, id),
    CONSTRAINT happening_status_is_known CHECK (status IN ('open', 'handled', 'duplicate')),
    CONSTRAINT happening_end_has_its_time CHECK ((status = 'open') = (finished_at IS NULL))
);
CREATE INDEX happening_by_person ON happening (entity, type, person, received_at) WHERE person IS NOT NULL;
CREATE INDEX happening_by_contact ON happening (entity, contact_id, received_at) WHERE contact_id IS NOT NULL;
CREATE INDEX happening_open ON happening (received_at) WHERE status = 'open';
CREATE INDEX happening_by_time ON happening (received_at);

-- What is started by a happening, noted before it is. `about` is what an instance is found by. A
-- conversation starts a workflow once, however many of its messages would.
CREATE TABLE happening_start (
    entity text NOT NULL CONSTRAINT happening_start_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    happening_id text NOT NULL,
    workflow text NOT NULL,
    key text NOT NULL,
    about text,
    correlation_id text NOT NULL,
    -- Until it is started, none.
    instance_id uuid,
    started_at timestamptz NOT NULL,
    CONSTRAINT happening_start_key PRIMARY KEY (entity, happening_id, workflow),
    CONSTRAINT happening_start_of_happening FOREIGN KEY (entity, happening_id)
        REFERENCES happening (entity, id) ON DELETE CASCADE
);
CREATE INDEX happening_start_by_about ON happening_start (entity, workflow, about, started_at)
    WHERE about IS NOT NULL;
CREATE UNIQUE INDEX happening_start_by_correlation ON happening_start (entity, correlation_id, workflow);
CREATE INDEX happening_start_by_instance ON happening_start (instance_id);

-- A workflow as one business has it: its settings, over the defaults of the definition.
CREATE TABLE workflow_setup (
    entity text NOT NULL CONSTRAINT workflow_setup_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    workflow text NOT NULL,
    settings json NOT NULL,
    enabled boolean NOT NULL,
    -- Who did, and where: cli, file, notion, api.
    set_by text NOT NULL,
    origin text NOT NULL,
    set_at timestamptz NOT NULL,
    CONSTRAINT workflow_setup_key PRIMARY KEY (entity, workflow)
);
CREATE INDEX workflow_setup_by_workflow ON workflow_setup (workflow);

-- A page of Notion that sets workflows up, and the hash of what stood there when that was done.
CREATE TABLE notion_setup (
    page_id text PRIMARY KEY,
    text_hash bytea NOT NULL,
    read_at timestamptz NOT NULL
);

-- People are found by the digits of their number, however it is written. There are thousands of them,
-- not millions, so their writers wait for a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX contacts_profiles_by_phone ON contacts_profiles
    (entity, regexp_replace(phone, '[^0-9]', '', 'g')) WHERE phone IS NOT NULL;

ALTER TABLE happening ENABLE ROW LEVEL SECURITY;
ALTER TABLE happening FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON happening USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE happening_start ENABLE ROW LEVEL SECURITY;
ALTER TABLE happening_start FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON happening_start USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE workflow_setup ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_setup FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON workflow_setup USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE notion_setup ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_setup FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_setup USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);
