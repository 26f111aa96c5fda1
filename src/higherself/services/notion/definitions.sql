-- Pages of the library of workflows in Notion.

-- name: find_definition_page :maybe
-- What is known of a page. Served by the primary key.
SELECT page_id, origin, workflow, version, text_hash, state, result, writes, shown_hash
FROM notion_definition WHERE page_id = %(page_id)s;

-- name: save_definition_page :none
-- Note what came of a page.
INSERT INTO notion_definition AS known (
    page_id, origin, workflow, version, text_hash, state, result, writes, shown_hash, judged_at
)
VALUES (
    %(page_id)s, %(origin)s, %(workflow)s, %(version)s, %(text_hash)s, %(state)s, %(result)s,
    %(writes)s, %(shown_hash)s, %(now)s
)
ON CONFLICT (page_id) DO UPDATE SET
    origin = excluded.origin, workflow = excluded.workflow, version = excluded.version,
    text_hash = excluded.text_hash, state = excluded.state, result = excluded.result,
    writes = excluded.writes, shown_hash = excluded.shown_hash, judged_at = excluded.judged_at;

-- name: definition_page_gone :none
-- The page is in the trash, or out of reach. The definition stays: it has instances.
UPDATE notion_definition SET state = 'gone' WHERE page_id = %(page_id)s;

-- name: written_workflows :many
-- Workflows that are written on pages.
SELECT DISTINCT workflow FROM notion_definition
WHERE origin = 'page' AND state = 'loaded' AND workflow IS NOT NULL;

-- name: untold :many
-- Rows of the library that do not say yet what came of their page.
SELECT record.record_id, record.entity, page.result, page.version
FROM notion_definition AS page
JOIN notion_record AS record ON record.page_id = page.page_id AND record.database = 'workflows_library'
JOIN workflows_library AS library ON library.record_id = record.record_id
WHERE page.origin = 'page' AND library.deleted_at IS NULL
    AND coalesce(library.problems, '') <> left(page.result, 1900);

-- name: page_of_row :maybe
-- The page of a row of the library.
SELECT page_id FROM notion_record
WHERE database = 'workflows_library' AND record_id = %(record)s AND state = 'ok';

-- name: count_instances_of :many
-- How many instances each workflow has.
SELECT workflow, count(*) FILTER (WHERE finished_at IS NULL) AS unfinished, count(*) AS instances
FROM workflow_instance GROUP BY workflow;
