-- name: count_left :one
-- Rows of documents that are deleted. Asked without an entity: a row may be filed under a wrong one.
SELECT
    (
        SELECT count(*) FROM document WHERE document_id = ANY(%(documents)s::uuid[])
    ) AS document,
    (
        SELECT count(*) FROM document_label WHERE document_id = ANY(%(documents)s::uuid[])
    ) AS document_label,
    (
        SELECT count(*) FROM chunk
        WHERE document_id = ANY(%(documents)s::uuid[]) OR chunk_id = ANY(%(chunk_ids)s::bigint[])
    ) AS chunk,
    (
        -- Every run that could hold them is read to its end, whatever its term. (24: CHUNK_SHIFT)
        SELECT count(*) FROM lexical_posting, unnest(postings) AS p
        WHERE last_chunk_id >= %(first)s AND first_chunk_id <= %(last)s
            AND p >> 24 = ANY(%(chunk_ids)s::bigint[])
    ) AS lexical_posting;

-- name: count_empty_terms :one
-- Terms of a business that no chunk has any more: each is a word of something deleted.
SELECT count(*) AS terms FROM lexical_posting WHERE entity = %(entity)s AND chunks = 0;

-- name: count_left_contents :one
-- Rows of contents that no chunk of the business has any more, in any table with such a column.
SELECT count(*) AS contents FROM {table} AS held
WHERE held.entity = %(entity)s AND held.content_hash = ANY(%(hashes)s::bytea[])
    AND NOT EXISTS (
        SELECT FROM chunk
        WHERE chunk.content_hash = held.content_hash AND chunk.entity = held.entity
    );

-- name: list_tables_of_contents :many
-- Every table that is filled by content: vectors of all spaces, known or not, and refusals.
SELECT relname::text AS name FROM pg_class
WHERE relnamespace = 'higherself'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'chunk'
    AND (
        SELECT count(*) FROM pg_attribute
        WHERE attrelid = pg_class.oid AND attname IN ('entity', 'content_hash') AND NOT attisdropped
    ) = 2
    AND relname <> 'document'
ORDER BY relname;

-- name: list_tables_of_entities :many
-- Every table that holds rows of a business, by whatever name that has there.
SELECT relname::text AS name, attname::text AS entity FROM pg_class
JOIN pg_attribute ON attrelid = pg_class.oid AND NOT attisdropped
WHERE relnamespace = 'higherself'::regnamespace AND relkind IN ('r', 'p')
    AND (attname = 'entity' OR (relname = 'entity' AND attname = 'slug'))
ORDER BY relname;

-- name: count_left_of_entity :one
SELECT count(*) AS left_over FROM {table} WHERE {entity} = %(entity)s;

-- name: list_tables_to_shred :many
-- Our tables; and the planner's statistics, which quote values that were common or stood between.
SELECT relnamespace::regnamespace::text AS schema, relname::text AS name FROM pg_class
WHERE (relnamespace = 'higherself'::regnamespace AND relkind = 'r')
    OR oid = 'pg_catalog.pg_statistic'::regclass
ORDER BY relnamespace <> 'higherself'::regnamespace, relname;

-- name: rewrite_table :none
-- Into new files, indexes as well; the old ones are cut to nothing. Says how many deleted rows it had
-- to take along, because a transaction elsewhere may still see them. Not in a transaction.
VACUUM (FULL, VERBOSE, ANALYZE) {schema}.{table};

-- name: is_empty :one
SELECT NOT EXISTS (SELECT FROM {schema}.{table}) AS empty;

-- name: clear_statistics :many
-- ANALYZE leaves the statistics of a table that has become empty as they were. (PostgreSQL 18.)
SELECT pg_clear_attribute_stats(%(schema)s, %(table)s, attname::text, false)::text
FROM pg_attribute
WHERE attrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
    AND attnum > 0 AND NOT attisdropped;

-- name: clear_statistics_by_type :none
-- The same before 18: to give a column a type, even its own, drops what was known of its values.
-- What a policy or a trigger names can have none given: there, the slug of a business and the topic of
-- a message stay.
DO $$
DECLARE
    known record;
BEGIN
    FOR known IN
        SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute
        WHERE attrelid = '{schema}.{table}'::regclass AND attnum > 0 AND NOT attisdropped
            AND NOT EXISTS (
                SELECT FROM pg_depend
                WHERE refobjid = attrelid AND refobjsubid = attnum
                    AND classid IN ('pg_policy'::regclass, 'pg_trigger'::regclass)
            )
    LOOP
        EXECUTE format('ALTER TABLE {schema}.{table} ALTER %I TYPE %s', known.attname, known.type);
    END LOOP;
END
$$;
