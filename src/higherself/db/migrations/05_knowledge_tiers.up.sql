-- 05_knowledge_tiers: one index finds documents by source, by source and business, and by name.
-- With two, a planner that knows nothing yet of a table being filled took the wrong one, and
-- looking up four thousand names read every document of the source for each (measured: a third
-- of the time of taking in 20,000).
-- Locks: document, while its names are indexed anew. With the previous release: works as before.

-- squawk-ignore ban-drop-constraint
ALTER TABLE document DROP CONSTRAINT document_name;
-- squawk-ignore disallowed-unique-constraint, constraint-missing-not-valid
ALTER TABLE document ADD CONSTRAINT document_name UNIQUE (source, entity, external_id);
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX document_by_source;

-- Who wrote a document (knowledge/model.py, Trust), and whether it may leave this machine.
ALTER TABLE document
    ADD COLUMN trust text NOT NULL DEFAULT 'own'
        CONSTRAINT document_trust_is_known CHECK (trust IN ('own', 'generated', 'external')),
    ADD COLUMN local_only boolean NOT NULL DEFAULT false,
    -- The whitespace that stands in no chunk, in order: with it the text can be put together again.
    ADD COLUMN blanks text NOT NULL DEFAULT '';

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX document_local_only ON document (document_id) WHERE local_only;

-- A space is filled while another answers; it is searched once it is active, and no longer written
-- once it is retired. The vectors of one that is not on_machine were made elsewhere. Waiting means
-- that texts may lack their vector: what is to be embedded is always found by comparing, so no
-- queue can lose anything, and deleting a document leaves nothing queued.
ALTER TABLE embedding_space
    ADD COLUMN tier text,
    ADD COLUMN state text NOT NULL DEFAULT 'active'
        CONSTRAINT embedding_space_state_is_known CHECK (state IN ('filling', 'active', 'retired')),
    ADD COLUMN on_machine boolean NOT NULL DEFAULT true,
    ADD COLUMN waiting boolean NOT NULL DEFAULT false;
-- The column active is the previous release's.
ALTER TABLE embedding_space ALTER COLUMN active SET DEFAULT true;

-- Texts that a provider refuses for what they are, so that nobody asks it again and again.
CREATE TABLE embedding_refusal (
    space_id smallint NOT NULL CONSTRAINT refusal_of_space
        REFERENCES embedding_space (space_id) ON DELETE CASCADE,
    content_hash bytea NOT NULL,
    entity text NOT NULL,
    reason text NOT NULL,
    refused_at timestamptz NOT NULL,
    CONSTRAINT embedding_refusal_once PRIMARY KEY (space_id, content_hash, entity)
);
ALTER TABLE embedding_refusal ENABLE ROW LEVEL SECURITY;
ALTER TABLE embedding_refusal FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON embedding_refusal USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
