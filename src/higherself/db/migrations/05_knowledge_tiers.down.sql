CREATE INDEX document_by_source ON document (source, entity);
ALTER TABLE document DROP CONSTRAINT document_name;
ALTER TABLE document ADD CONSTRAINT document_name UNIQUE (entity, source, external_id);
