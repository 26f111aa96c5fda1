-- 17_notion_status: the pages in Notion that show instances of workflows and definitions; what people
-- have asked for on them.
-- A step of an instance marks its page in its own transaction, by a trigger, so no step is overlooked
-- and no step waits for Notion. Nothing is marked while there is no database for the pages.
-- Locks: workflow_instance and entity, briefly. With the previous release: its steps mark pages that
-- nobody brings up to date, which does no harm.

-- An instance and its page.
CREATE TABLE notion_status (
    instance_id uuid PRIMARY KEY,
    entity text NOT NULL CONSTRAINT notion_status_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    page_id text,
    url text,
    state text NOT NULL DEFAULT 'new',
    reason text NOT NULL DEFAULT '',
    -- Counts steps: one that comes while the page is written is not overlooked.
    revision bigint NOT NULL DEFAULT 1,
    -- Something has happened since then that the page does not show.
    dirty_since timestamptz,
    -- Nothing is tried before that, and so often it has failed.
    not_before timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    -- Counts what was written: names each write once. `pages` counts pages made.
    writes bigint NOT NULL DEFAULT 0,
    pages integer NOT NULL DEFAULT 0,
    -- What was written last: the hash of the text, our part as Notion shows it, the properties.
    body_hash bytea,
    region text,
    properties json,
    -- What was about to be written, so that a process that ended meanwhile knows its own words again.
    sending json,
    refreshed_at timestamptz,
    comments_read_at timestamptz,
    CONSTRAINT notion_status_state_is_known CHECK (
        state IN ('new', 'ok', 'edited', 'damaged', 'gone', 'lost')
    )
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX notion_status_page ON notion_status (page_id) WHERE page_id IS NOT NULL;
CREATE INDEX notion_status_dirty ON notion_status (dirty_since) WHERE dirty_since IS NOT NULL;
CREATE INDEX notion_status_by_entity ON notion_status (entity);
ALTER TABLE notion_status ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_status FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_status USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Pages whose instance is no more, also because its business was forgotten: they go to the trash.
CREATE TABLE notion_left_page (
    page_id text PRIMARY KEY,
    left_at timestamptz NOT NULL,
    not_before timestamptz,
    attempts integer NOT NULL DEFAULT 0
);
ALTER TABLE notion_left_page ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_left_page FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_left_page USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- What people have asked for on a page, by the property `Action` or by a comment: each once.
CREATE TABLE notion_command (
    -- Of a comment its id; of a choice the page and a number.
    command_id text PRIMARY KEY,
    entity text NOT NULL CONSTRAINT notion_command_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    instance_id uuid NOT NULL,
    page_id text NOT NULL,
    source text NOT NULL,
    action text NOT NULL,
    words text NOT NULL,
    -- Of a comment: where it is answered.
    discussion text,
    person_id text,
    person text NOT NULL,
    state text NOT NULL,
    outcome text,
    answer text,
    seen_at timestamptz NOT NULL,
    done_at timestamptz,
    CONSTRAINT notion_command_source_is_known CHECK (source IN ('property', 'comment')),
    CONSTRAINT notion_command_state_is_known CHECK (state IN ('taken', 'done', 'answered')),
    CONSTRAINT notion_command_outcome_is_known CHECK (
        outcome IN ('carried_out', 'refused', 'impossible')
    )
);
-- Of a page one choice at a time: the property has to be empty before the next.
CREATE UNIQUE INDEX notion_command_open_choice ON notion_command (page_id)
    WHERE source = 'property' AND state <> 'answered';
CREATE INDEX notion_command_open ON notion_command (seen_at) WHERE state <> 'answered';
CREATE INDEX notion_command_of_instance ON notion_command (instance_id, seen_at);
CREATE INDEX notion_command_by_entity ON notion_command (entity);
ALTER TABLE notion_command ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_command FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_command USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Pages of the library of workflows: definitions that stand on them, and those of files that are
-- shown there. Definitions belong to the installation, not to a business.
CREATE TABLE notion_definition (
    page_id text PRIMARY KEY,
    -- `page`: the definition is written there; `file`: it is only shown.
    origin text NOT NULL,
    workflow text,
    version integer,
    -- The hash of the text that was judged last, and what came of it.
    text_hash bytea,
    state text NOT NULL,
    result text NOT NULL DEFAULT '',
    writes bigint NOT NULL DEFAULT 0,
    shown_hash bytea,
    judged_at timestamptz NOT NULL,
    CONSTRAINT notion_definition_origin_is_known CHECK (origin IN ('page', 'file')),
    CONSTRAINT notion_definition_state_is_known CHECK (
        state IN ('draft', 'loaded', 'refused', 'shown', 'gone')
    )
);
CREATE INDEX notion_definition_of_workflow ON notion_definition (workflow, version);
ALTER TABLE notion_definition ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_definition FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_definition USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Whoever changes an instance may see one business alone. What is marked is the server's business, so
-- these functions see all rows for as long as they run.
CREATE FUNCTION notion_status_moved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    scope text := current_setting('higherself.entity', true);
BEGIN
    IF scope IS DISTINCT FROM '*' THEN
        PERFORM set_config('higherself.entity', '*', true);
    END IF;
    IF EXISTS (SELECT FROM notion_database WHERE name = 'workflow_instances') THEN
        INSERT INTO notion_status AS known (instance_id, entity, dirty_since)
        VALUES (NEW.instance_id, NEW.entity, clock_timestamp())
        ON CONFLICT (instance_id) DO UPDATE SET
            revision = known.revision + 1,
            dirty_since = coalesce(known.dirty_since, excluded.dirty_since);
    END IF;
    IF scope IS DISTINCT FROM '*' THEN
        PERFORM set_config('higherself.entity', coalesce(scope, ''), true);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER notion_status_begun AFTER INSERT ON workflow_instance
    FOR EACH ROW EXECUTE FUNCTION notion_status_moved();
CREATE TRIGGER notion_status_moved AFTER UPDATE ON workflow_instance
    FOR EACH ROW WHEN (
        OLD.sequence <> NEW.sequence OR OLD.obstacle IS DISTINCT FROM NEW.obstacle
    )
    EXECUTE FUNCTION notion_status_moved();

CREATE FUNCTION notion_status_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM notion_status WHERE instance_id = OLD.instance_id;
    RETURN NULL;
END $$;
CREATE TRIGGER notion_status_ended AFTER DELETE ON workflow_instance
    FOR EACH ROW EXECUTE FUNCTION notion_status_ended();

CREATE FUNCTION notion_page_left() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    scope text := current_setting('higherself.entity', true);
BEGIN
    PERFORM set_config('higherself.entity', '*', true);
    INSERT INTO notion_left_page (page_id, left_at) VALUES (OLD.page_id, now())
    ON CONFLICT DO NOTHING;
    PERFORM set_config('higherself.entity', coalesce(scope, ''), true);
    RETURN NULL;
END $$;
CREATE TRIGGER notion_page_left AFTER DELETE ON notion_status
    FOR EACH ROW WHEN (OLD.page_id IS NOT NULL)
    EXECUTE FUNCTION notion_page_left();
