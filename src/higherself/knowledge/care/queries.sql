-- name: list_unprotected :many
-- Tables with rows of businesses in which those are not kept apart, the owner bound as well, by
-- exactly one policy on the setting. A second, permissive one would let through what it likes.
SELECT relname::text AS name FROM pg_class
WHERE relnamespace = 'higherself'::regnamespace AND relkind IN ('r', 'p')
    AND (
        relname = 'entity' OR EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = pg_class.oid AND attname = 'entity' AND NOT attisdropped
        )
    )
    AND NOT (
        relrowsecurity AND relforcerowsecurity AND (
            SELECT
                count(*) = 1 AND bool_and(
                    polcmd = '*' AND polroles = ARRAY[0]::oid[] AND polwithcheck IS NULL
                    AND pg_get_expr(polqual, polrelid) LIKE '%%higherself.entity%%'
                )
            FROM pg_policy WHERE polrelid = pg_class.oid
        )
    )
ORDER BY relname;

-- name: list_policies :many
SELECT polname::text AS name FROM pg_policy
WHERE polrelid = to_regclass('higherself.' || quote_ident(%(table)s));

-- name: drop_policy :none
DROP POLICY {policy} ON {table};

-- name: enable_security :none
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- name: create_policy :none
CREATE POLICY entity_scope ON {table} USING (
    {entity} = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- name: list_space_tables :many
-- Spaces and tables side by side. The dimensions of halfvec(d) are its type's modifier.
SELECT
    coalesce(space.space_id, substr(relation.name, 11)::bigint) AS space_id, space.name,
    space.dimensions AS expected, relation.dimensions
FROM embedding_space AS space
FULL JOIN (
    SELECT relname::text AS name, greatest(coalesce(atttypmod, 0), 0) AS dimensions
    FROM pg_class
    LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'embedding'
        AND NOT attisdropped
    WHERE relnamespace = 'higherself'::regnamespace AND relkind = 'r'
        AND relname ~ '^embedding_[0-9]+$'
) AS relation ON relation.name = 'embedding_' || space.space_id
ORDER BY 1;

-- name: drop_space_table :none
DROP TABLE IF EXISTS {embedding};

-- name: correct_space :none
UPDATE embedding_space SET dimensions = %(dimensions)s WHERE space_id = %(space_id)s;

-- name: expect_vectors :none
UPDATE embedding_space SET waiting = true
WHERE space_id = %(space_id)s AND tier IS NOT NULL AND EXISTS (SELECT FROM chunk);

-- name: list_indexes :many
-- Every index on our tables, with the columns it is made of (expressions have no name).
SELECT
    index.relname::text AS name, relation.relname::text AS relation, amname::text AS method,
    indisvalid AND indisready AND indislive AS valid, pg_relation_size(index.oid) AS bytes,
    indpred IS NOT NULL AS partial, pg_relation_size(relation.oid) / 8192 AS pages,
    ARRAY(
        SELECT attname::text FROM pg_attribute
        WHERE attrelid = relation.oid AND attnum = ANY(indkey)
    ) AS columns
FROM pg_index
JOIN pg_class AS index ON index.oid = indexrelid
JOIN pg_class AS relation ON relation.oid = indrelid
JOIN pg_am ON pg_am.oid = index.relam
WHERE relation.relnamespace = 'higherself'::regnamespace
ORDER BY relation.relname, index.relname;

-- name: measure_column :one
-- What a column takes in a row, by a sample of the pages.
SELECT coalesce(avg(pg_column_size({column})), 0)::float8 AS bytes
FROM {table} TABLESAMPLE SYSTEM (%(percent)s);

-- name: count_rows :one
SELECT count(*) AS entries FROM {table};

-- name: rebuild_index :none
-- Beside the old one, which serves meanwhile. Not in a transaction.
REINDEX INDEX CONCURRENTLY {schema}.{index};

-- name: drop_index :none
DROP INDEX CONCURRENTLY IF EXISTS {schema}.{index};

-- name: list_tables :many
-- What the server has counted, and the size of the file without indexes.
SELECT relname::text AS name, n_live_tup AS live, n_dead_tup AS dead, pg_table_size(relid) AS bytes
FROM pg_stat_user_tables WHERE schemaname = 'higherself' ORDER BY relname;

-- name: vacuum :none
-- Not in a transaction. (To analyse at once would hide the rows that cannot be freed yet.)
VACUUM {schema}.{table};

-- name: count_misfiled :one
-- Rows of no document, which only a damaged database can have, and rows under another business
-- than their document's.
SELECT
    (
        SELECT count(*) FROM chunk WHERE NOT EXISTS (
            SELECT FROM document WHERE document.document_id = chunk.document_id
        )
    ) AS orphaned_chunks,
    (
        SELECT count(*) FROM document_label AS label WHERE NOT EXISTS (
            SELECT FROM document WHERE document.document_id = label.document_id
        )
    ) AS orphaned_labels,
    (
        SELECT count(*) FROM chunk JOIN document USING (document_id)
        WHERE chunk.entity <> document.entity
    ) AS strange_chunks,
    (
        SELECT count(*) FROM document_label AS label JOIN document USING (document_id)
        WHERE label.entity <> document.entity
    ) AS strange_labels;

-- name: drop_orphaned_chunks :none
DELETE FROM chunk WHERE NOT EXISTS (
    SELECT FROM document WHERE document.document_id = chunk.document_id
);

-- name: drop_orphaned_labels :none
DELETE FROM document_label WHERE NOT EXISTS (
    SELECT FROM document WHERE document.document_id = document_label.document_id
);

-- name: bring_chunks_home :none
UPDATE chunk SET entity = document.entity FROM document
WHERE document.document_id = chunk.document_id AND chunk.entity <> document.entity;

-- name: bring_labels_home :none
UPDATE document_label SET entity = document.entity FROM document
WHERE document.document_id = document_label.document_id
    AND document_label.entity <> document.entity;

-- name: expect_everywhere :none
-- After chunks have moved: in which spaces their vectors lack is found by comparing.
UPDATE embedding_space SET waiting = true WHERE tier IS NOT NULL;

-- name: find_broken_documents :many
-- Documents whose chunks do not follow one another, or leave out more than whitespace.
SELECT document_id FROM document
LEFT JOIN (
    SELECT
        document_id,
        bool_or(ordinal <> expected OR span_end - span_start <> length) AS odd,
        sum(greatest(0, span_start - before)) AS left_out
    FROM (
        SELECT
            document_id, ordinal, span_start, span_end, char_length(text) AS length,
            row_number() OVER place - 1 AS expected,
            lag(span_end, 1, 0) OVER place AS before
        FROM chunk
        WINDOW place AS (PARTITION BY document_id ORDER BY ordinal)
    ) AS places
    GROUP BY document_id
) AS made USING (document_id)
WHERE (made.odd IS NULL OR made.odd OR made.left_out > char_length(document.blanks))
    AND (%(entity)s::text IS NULL OR document.entity = %(entity)s)
ORDER BY document_id;

-- name: expect_again :none
-- No text has this hash, so whatever is added differs from what is stored.
UPDATE document SET content_hash = decode(repeat('00', 32), 'hex')
WHERE document_id = ANY(%(documents)s::uuid[]);

-- name: count_chunks :one
SELECT count(*) AS chunks FROM chunk WHERE %(entity)s::text IS NULL OR entity = %(entity)s;

-- name: read_texts :many
-- Chunks after a given one, with what is embedded of them and indexed by its words.
SELECT chunk_id, chunk.entity, chunk.content_hash, document.title, chunk.headings, chunk.text
FROM chunk JOIN document USING (document_id)
WHERE chunk_id > %(after)s AND (%(entity)s::text IS NULL OR chunk.entity = %(entity)s)
ORDER BY chunk_id LIMIT %(limit)s;

-- name: rehash_chunks :none
UPDATE chunk SET content_hash = mended.content_hash
FROM unnest(%(chunk_ids)s::bigint[], %(old)s::bytea[], %(new)s::bytea[])
    AS mended (chunk_id, old_hash, content_hash)
WHERE chunk.chunk_id = mended.chunk_id AND chunk.content_hash = mended.old_hash;

-- name: read_facts :many
-- Documents after a given one, with their facts and the labels they have.
SELECT
    document_id, tags, metadata,
    ARRAY(
        SELECT label FROM document_label WHERE document_label.document_id = document.document_id
    ) AS labels
FROM document
WHERE (%(after)s::uuid IS NULL OR document_id > %(after)s)
    AND (%(entity)s::text IS NULL OR entity = %(entity)s)
ORDER BY document_id LIMIT %(limit)s;

-- name: lock_facts :many
-- The facts of these documents, which nobody changes until the transaction ends.
SELECT document_id, tags, metadata, ARRAY[]::text[] AS labels FROM document
WHERE document_id = ANY(%(documents)s::uuid[])
ORDER BY document_id FOR UPDATE;

-- name: drop_labels :none
DELETE FROM document_label WHERE document_id = ANY(%(documents)s::uuid[]);

-- name: insert_labels :none
INSERT INTO document_label (label, entity, document_id)
SELECT jsonb_array_elements_text(given.labels::jsonb), document.entity, document_id
FROM unnest(%(documents)s::uuid[], %(labels)s::text[]) AS given (document_id, labels)
JOIN document USING (document_id);

-- name: compare_lexical :many
-- What the lexical index says of each chunk, beside the chunks. A posting packs chunk_id << 24 |
-- frequency << 16 | length; the frequencies of a chunk's terms add up to its length (255 and 65535
-- mean: or more), and the term '' has each chunk once.
WITH posting AS (
    SELECT
        run.entity, run.term = '' AS every, p >> 24 AS chunk_id, (p >> 16) & 255 AS frequency,
        p & 65535 AS length
    FROM lexical_posting AS run, unnest(run.postings) AS p
    WHERE %(entity)s::text IS NULL OR run.entity = %(entity)s
),
indexed AS (
    SELECT
        entity, chunk_id, count(*) FILTER (WHERE every) AS counted,
        coalesce(sum(frequency) FILTER (WHERE NOT every), 0) AS said,
        coalesce(max(frequency) FILTER (WHERE NOT every), 0) AS most,
        min(length) AS shortest, max(length) AS length
    FROM posting GROUP BY entity, chunk_id
),
compared AS (
    SELECT
        entity,
        count(*) FILTER (WHERE indexed.chunk_id IS NULL) AS missing,
        count(*) FILTER (WHERE stored.chunk_id IS NULL) AS orphaned,
        count(*) FILTER (
            WHERE stored.chunk_id = indexed.chunk_id AND (
                counted <> 1 OR shortest <> length OR (length < 65535 AND said <> length AND (
                    most < 255 OR said > length
                ))
            )
        ) AS uneven
    FROM indexed
    FULL JOIN (
        SELECT entity, chunk_id FROM chunk
        WHERE %(entity)s::text IS NULL OR entity = %(entity)s
    ) AS stored USING (entity, chunk_id)
    GROUP BY entity
),
run AS (
    SELECT
        entity, count(*) FILTER (WHERE chunks = 0) AS orphaned,
        count(*) FILTER (
            WHERE chunks > 0 AND (
                first_chunk_id > postings[1] >> 24 OR last_chunk_id < postings[chunks] >> 24
                OR length <> CASE WHEN term = '' THEN (
                    SELECT sum(p & 65535) FROM unnest(postings) AS p
                ) ELSE 0 END
            )
        ) AS uneven
    FROM lexical_posting WHERE %(entity)s::text IS NULL OR entity = %(entity)s
    GROUP BY entity
)
SELECT
    entity, coalesce(compared.missing, 0) AS missing,
    coalesce(compared.orphaned, 0) + coalesce(run.orphaned, 0) AS orphaned,
    coalesce(compared.uneven, 0) + coalesce(run.uneven, 0) AS uneven
FROM compared FULL JOIN run USING (entity)
WHERE coalesce(compared.missing, 0) + coalesce(compared.orphaned, 0) + coalesce(compared.uneven, 0)
    + coalesce(run.orphaned, 0) + coalesce(run.uneven, 0) > 0
ORDER BY entity;

-- name: hold_lexical :none
-- Let nobody add to the index while one of a business is made anew from the chunks: what came in
-- between would be in it twice. Searches go on.
LOCK TABLE lexical_posting IN SHARE ROW EXCLUSIVE MODE;

-- name: clear_lexical :none
DELETE FROM lexical_posting WHERE entity = %(entity)s;

-- name: count_odd_lengths :one
SELECT
    count(*) FILTER (WHERE length = 0) AS zero,
    count(*) FILTER (WHERE length > 0 AND abs(length - 1) > %(tolerance)s) AS off
FROM (
    SELECT l2_norm(embedding) AS length FROM {embedding}
    WHERE %(entity)s::text IS NULL OR entity = %(entity)s
) AS measured;

-- name: drop_zero_vectors :none
DELETE FROM {embedding}
WHERE l2_norm(embedding) = 0 AND (%(entity)s::text IS NULL OR entity = %(entity)s);

-- name: mend_lengths :none
-- The direction is all that is compared, and stays.
UPDATE {embedding} SET embedding = l2_normalize(embedding)
WHERE abs(l2_norm(embedding) - 1) > %(tolerance)s
    AND (%(entity)s::text IS NULL OR entity = %(entity)s);

-- name: count_private :one
SELECT count(*) AS vectors FROM {embedding} AS embedding WHERE {private};

-- name: drop_private :none
DELETE FROM {embedding} AS embedding WHERE {private};

-- name: private :one
-- For the slot of that name: a vector whose text is in private documents alone.
(%(entity)s::text IS NULL OR embedding.entity = %(entity)s)
    AND (
        SELECT bool_and(document.local_only) FROM chunk JOIN document USING (document_id)
        WHERE chunk.content_hash = embedding.content_hash AND chunk.entity = embedding.entity
    );

-- name: count_orphaned_refusals :one
SELECT count(*) AS refusals FROM embedding_refusal AS refusal WHERE {orphaned};

-- name: drop_orphaned_refusals :none
DELETE FROM embedding_refusal AS refusal WHERE {orphaned};

-- name: orphaned :one
-- For the slot of that name: a refusal of a text that is gone.
refusal.space_id = %(space_id)s AND (%(entity)s::text IS NULL OR refusal.entity = %(entity)s)
    AND NOT EXISTS (
        SELECT FROM chunk
        WHERE chunk.content_hash = refusal.content_hash AND chunk.entity = refusal.entity
    );
