-- 01_core: the businesses that share this server.
-- Every business row carries `entity`; row-level security shows a transaction the rows of the
-- entity named by the setting `higherself.entity` ('*': all, for the operator). Without the
-- setting nothing is visible, to the tables' owner neither.
-- Locks: nothing that exists. With the previous release: it knows none of this.

CREATE TABLE entity (
    slug text PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT slug_is_plain CHECK (slug ~ '^[a-z0-9][a-z0-9_-]{0,62}$')
);

ALTER TABLE entity ENABLE ROW LEVEL SECURITY;
ALTER TABLE entity FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON entity USING (
    slug = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
