DROP TABLE embedding_refusal;
ALTER TABLE embedding_space ALTER COLUMN active DROP DEFAULT;
ALTER TABLE embedding_space DROP COLUMN waiting, DROP COLUMN on_machine, DROP COLUMN state, DROP COLUMN tier;
DROP INDEX document_local_only;
ALTER TABLE document DROP COLUMN blanks, DROP COLUMN local_only, DROP COLUMN trust;
CREATE INDEX document_by_source ON document (source, entity);
ALTER TABLE document DROP CONSTRAINT document_name;
ALTER TABLE document ADD CONSTRAINT document_name UNIQUE (entity, source, external_id);
