-- What agents have made, and the pages that show it.

-- name: generated_waiting :many
-- Documents of agents that no page shows as they are now.
SELECT d.entity, d.source, d.external_id AS name, d.title, d.version, g.page_id, g.written, g.version AS shown
FROM document AS d
LEFT JOIN notion_generated AS g
    ON g.entity = d.entity AND g.source = d.source AND g.name = d.external_id
WHERE d.trust = 'generated' AND d.source LIKE 'agent:%%' AND NOT d.local_only
    AND (g.page_id IS NULL OR (g.version < d.version AND g.state = 'written'))
ORDER BY d.document_id LIMIT %(limit)s;

-- name: generated_shown :none
INSERT INTO notion_generated (entity, source, name, page_id, version, written, state, written_at)
VALUES (%(entity)s, %(source)s, %(name)s, %(page)s, %(version)s, %(written)s, %(state)s, %(at)s)
ON CONFLICT (entity, source, name) DO UPDATE SET page_id = excluded.page_id, version = excluded.version,
    written = excluded.written, state = excluded.state, written_at = excluded.written_at;

-- name: generated_decided :none
-- A person has decided: what is on the page is known, and is written over or left alone.
UPDATE notion_generated SET state = %(state)s, version = 0, written = %(theirs)s WHERE page_id = %(page)s;
