-- Pages of the library of workflows that set workflows up.

-- name: find_setup_page :maybe
-- What was done last of a page. By the primary key.
SELECT text_hash FROM notion_setup WHERE page_id = %(page_id)s;

-- name: save_setup_page :none
-- Note what was done of a page.
INSERT INTO notion_setup AS known (page_id, text_hash, read_at)
VALUES (%(page_id)s, %(text_hash)s, %(now)s)
ON CONFLICT (page_id) DO UPDATE SET text_hash = excluded.text_hash, read_at = excluded.read_at;
