-- Which pages of Notion are documents of the knowledge hub.

-- name: notion_documents :many
SELECT page_id, entity, content_hash, chunks, indexed_at FROM notion_document WHERE page_id = ANY(%(pages)s);

-- name: notion_documents_taken :none
INSERT INTO notion_document (page_id, entity, content_hash, chunks, indexed_at, tells)
SELECT page_id, entity, content_hash, 0, at, tells::json
FROM unnest(%(pages)s::text[], %(entities)s::text[], %(hashes)s::bytea[], %(times)s::timestamptz[],
    %(tells)s::text[]) AS given (page_id, entity, content_hash, at, tells)
ON CONFLICT (page_id) DO UPDATE SET entity = excluded.entity, content_hash = excluded.content_hash,
    indexed_at = excluded.indexed_at, tells = excluded.tells;

-- name: notion_documents_to_tell :many
-- Pages that have properties for what became of them, and were not told yet.
SELECT page_id, entity, content_hash, tells FROM notion_document
WHERE tells IS NOT NULL AND told_hash IS DISTINCT FROM content_hash
ORDER BY page_id LIMIT %(limit)s;

-- name: notion_document_told :none
UPDATE notion_document SET told_hash = %(hash)s, chunks = %(chunks)s WHERE page_id = %(page)s;

-- name: notion_documents_gone :none
DELETE FROM notion_document WHERE page_id = ANY(%(pages)s);

-- name: count_notion_documents :one
SELECT count(*) AS documents FROM notion_document;

-- name: notion_businesses :many
-- The businesses whose pages these are.
SELECT page_id, entity FROM notion_record
WHERE database = 'business_entities' AND page_id = ANY(%(pages)s);

-- name: notion_titles :many
SELECT data_source_id, title FROM notion_source WHERE data_source_id = ANY(%(sources)s);
