-- name: notion_tables :many
-- The tables that say what is known of Notion. Reads the catalogue.
SELECT tablename AS name FROM pg_tables
WHERE schemaname = current_schema AND starts_with(tablename, 'notion_')
ORDER BY tablename;

-- name: empty_rows :none
-- Nothing is left of a table, nor of those that refer to it; no trigger is told.
TRUNCATE {rows} CASCADE;
