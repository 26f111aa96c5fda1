-- What was changed on both sides at once.

-- name: open_notion_conflict :none
-- One conflict a part of a page; what is newer takes its place.
INSERT INTO notion_conflict (conflict_id, entity, page_id, title, part, ours, theirs, opened_at)
VALUES (%(conflict)s, %(entity)s, %(page)s, %(title)s, %(part)s, %(ours)s, %(theirs)s, %(at)s)
ON CONFLICT (page_id, part) WHERE resolved_at IS NULL
DO UPDATE SET ours = excluded.ours, theirs = excluded.theirs;

-- name: open_notion_conflicts :many
SELECT conflict_id, entity, page_id, title, part, ours, theirs, opened_at FROM notion_conflict
WHERE resolved_at IS NULL ORDER BY opened_at, conflict_id;

-- name: notion_conflict :maybe
SELECT conflict_id, entity, page_id, title, part, ours, theirs, opened_at, kept FROM notion_conflict
WHERE conflict_id = %(conflict)s;

-- name: resolve_notion_conflict :none
UPDATE notion_conflict SET kept = %(kept)s, resolved_at = %(at)s
WHERE conflict_id = %(conflict)s AND resolved_at IS NULL;

-- name: count_notion_conflicts :one
SELECT count(*) AS open FROM notion_conflict WHERE resolved_at IS NULL;
