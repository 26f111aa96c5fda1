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
