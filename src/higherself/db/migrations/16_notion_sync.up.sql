-- 16_notion_sync: how far Notion has been read, what is known of its pages, and what became of them.
-- Nothing here is the only copy of anything: forgetting it all means reading all of Notion again.
-- Locks: entity, briefly, for the foreign keys. With the previous release: it knows none of this.

-- The data sources that are followed. Notion belongs to the installation, not to a business.
CREATE TABLE notion_source (
    data_source_id text PRIMARY KEY,
    database_id text,
    title text NOT NULL,
    -- The page that the database stands on.
    parent_id text,
    state text NOT NULL,
    -- The newest edit that was listed, to the minute; settled: that minute was over by then.
    watermark timestamptz,
    settled boolean NOT NULL DEFAULT true,
    listed_at timestamptz,
    problem text,
    CONSTRAINT notion_source_state_is_known CHECK (state IN ('followed', 'lost', 'gone'))
);
ALTER TABLE notion_source ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_source FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_source USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Every page that was ever seen.
CREATE TABLE notion_page (
    page_id text PRIMARY KEY,
    data_source_id text,
    -- What it says it stands in (a page, a block, a data source), and the page that shows it.
    parent_id text,
    inside_id text,
    title text NOT NULL,
    url text,
    -- The last edit that all watchers have seen, to the minute, and when its reading began.
    edited timestamptz,
    read_at timestamptz,
    state text NOT NULL,
    -- When the state became what it is.
    since timestamptz NOT NULL,
    -- When a full listing had it last, and how many since then did not.
    listed_at timestamptz,
    missing smallint NOT NULL DEFAULT 0,
    -- It is to be read again then: after a failure, or because its minute was not over.
    due_at timestamptz,
    attempts smallint NOT NULL DEFAULT 0,
    problem text,
    -- It would be deleted, and waits for a person to say so.
    held_at timestamptz,
    -- From the edit to its being known here; of changes that came after the first reading.
    lag_seconds real,
    CONSTRAINT notion_page_state_is_known CHECK (state IN ('live', 'archived', 'lost', 'gone'))
) WITH (fillfactor = 80);
CREATE INDEX notion_page_by_source ON notion_page (data_source_id);
CREATE INDEX notion_page_by_parent ON notion_page (parent_id);
CREATE INDEX notion_page_inside ON notion_page (inside_id);
CREATE INDEX notion_page_due ON notion_page (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notion_page_held ON notion_page (held_at) WHERE held_at IS NOT NULL;
CREATE INDEX notion_page_by_reading ON notion_page (read_at);
ALTER TABLE notion_page ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_page FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_page USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- What else is to be remembered of following, by name.
CREATE TABLE notion_checkpoint (
    name text PRIMARY KEY,
    value json NOT NULL,
    at timestamptz NOT NULL
);
ALTER TABLE notion_checkpoint ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_checkpoint FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_checkpoint USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- What Notion announced. An event only says where to look; the same one counts once.
CREATE TABLE notion_event (
    event_id text PRIMARY KEY,
    type text NOT NULL,
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    sent_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    handled_at timestamptz
);
CREATE INDEX notion_event_waiting ON notion_event (received_at) WHERE handled_at IS NULL;
CREATE INDEX notion_event_by_age ON notion_event (received_at);
ALTER TABLE notion_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_event FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_event USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- The pages that are documents of the knowledge hub, and what was embedded of each.
CREATE TABLE notion_document (
    page_id text NOT NULL,
    entity text NOT NULL CONSTRAINT notion_document_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    content_hash bytea NOT NULL,
    chunks integer NOT NULL,
    indexed_at timestamptz NOT NULL,
    -- The properties of the page that take what became of it: names with types; and of which content they tell.
    tells json,
    told_hash bytea,
    CONSTRAINT notion_document_key PRIMARY KEY (page_id)
);
CREATE INDEX notion_document_by_entity ON notion_document (entity);
ALTER TABLE notion_document ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_document FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_document USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- What agents have made and is shown as a page, in a region that the server owns.
CREATE TABLE notion_generated (
    entity text NOT NULL CONSTRAINT notion_generated_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    source text NOT NULL,
    name text NOT NULL,
    page_id text NOT NULL,
    -- The document's version and the region's text as last written: what a person must not have changed.
    version bigint NOT NULL,
    written text NOT NULL,
    state text NOT NULL,
    written_at timestamptz NOT NULL,
    CONSTRAINT notion_generated_key PRIMARY KEY (entity, source, name),
    CONSTRAINT notion_generated_page UNIQUE (page_id),
    CONSTRAINT notion_generated_state_is_known CHECK (state IN ('written', 'conflict', 'theirs'))
);
ALTER TABLE notion_generated ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_generated FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_generated USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- What was changed here and in Notion at once. Both versions stay, whatever is decided.
CREATE TABLE notion_conflict (
    conflict_id uuid PRIMARY KEY,
    entity text NOT NULL CONSTRAINT notion_conflict_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    page_id text NOT NULL,
    title text NOT NULL,
    part text NOT NULL,
    ours text NOT NULL,
    theirs text NOT NULL,
    opened_at timestamptz NOT NULL,
    kept text,
    resolved_at timestamptz,
    CONSTRAINT notion_conflict_kept_is_known CHECK (kept IN ('notion', 'store')),
    CONSTRAINT notion_conflict_end_has_its_time CHECK ((kept IS NULL) = (resolved_at IS NULL))
);
CREATE UNIQUE INDEX notion_conflict_open ON notion_conflict (page_id, part) WHERE resolved_at IS NULL;
CREATE INDEX notion_conflict_by_entity ON notion_conflict (entity);
ALTER TABLE notion_conflict ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_conflict FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_conflict USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
