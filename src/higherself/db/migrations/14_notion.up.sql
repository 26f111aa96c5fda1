-- 14_notion: the requests that Notion allows us, shared by all processes; writes that happen once;
-- what we wrote ourselves. A token is named by a hash of it. No table here has a text of a page.
-- Locks: none on what is there. With the previous release: it knows none of this.

CREATE TABLE notion_budget (
    token text PRIMARY KEY,
    -- No request leaves before that; Notion has asked for it.
    paused_until timestamptz,
    reason text,
    -- Somebody in this lane waits, so nobody in a lane behind it goes.
    live_waits_until timestamptz,
    announced_waits_until timestamptz
) WITH (fillfactor = 50);
ALTER TABLE notion_budget ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_budget FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_budget USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Requests that may leave, or have left. A row counts for a minute and a bit, then it goes.
CREATE TABLE notion_grant (
    grant_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token text NOT NULL CONSTRAINT notion_grant_of_budget REFERENCES notion_budget (token) ON DELETE CASCADE,
    granted_at timestamptz NOT NULL,
    requests integer NOT NULL,
    CONSTRAINT notion_grant_counts_up CHECK (requests >= 0)
);
CREATE INDEX notion_grant_by_age ON notion_grant (token, granted_at);
ALTER TABLE notion_grant ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_grant FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_grant USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- A write is remembered before it is sent, and completed after it: what was begun and not completed
-- is looked for in Notion before it is sent again.
CREATE TABLE notion_write (
    key text PRIMARY KEY,
    kind text NOT NULL,
    -- The page, block, data source or database that it changes, or in which it makes something.
    target text NOT NULL,
    -- A hash of what is sent.
    sent text NOT NULL,
    intended_at timestamptz NOT NULL,
    sent_at timestamptz,
    -- Who has sent it last.
    sender text,
    done_at timestamptz,
    -- What it made.
    result text,
    children text[] NOT NULL
);
CREATE UNIQUE INDEX notion_write_made_once ON notion_write (result) WHERE kind LIKE 'create%';
CREATE INDEX notion_write_children ON notion_write USING gin (children);
CREATE INDEX notion_write_under_way ON notion_write (target) WHERE done_at IS NULL;
CREATE INDEX notion_write_by_age ON notion_write (intended_at);
ALTER TABLE notion_write ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_write FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_write USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- What pages were like after we wrote them: who finds one like that finds nobody's change but ours.
CREATE TABLE notion_echo (
    page_id text NOT NULL,
    kind text NOT NULL,
    hash text NOT NULL,
    written_at timestamptz NOT NULL,
    CONSTRAINT notion_echo_key PRIMARY KEY (page_id, kind, hash)
);
CREATE INDEX notion_echo_by_age ON notion_echo (written_at);
ALTER TABLE notion_echo ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_echo FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_echo USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);
