-- name: list_entities :many
SELECT entity.slug, entity.name, count(document.document_id) AS documents
FROM entity LEFT JOIN document ON document.entity = entity.slug
WHERE %(entity)s::text IS NULL OR entity.slug = %(entity)s
GROUP BY entity.slug ORDER BY entity.slug;

-- name: forget_entity :none
DELETE FROM entity WHERE slug = %(entity)s;

-- name: forget_documents :none
DELETE FROM document WHERE entity = %(entity)s;

-- name: forget_chunks :none
-- Before the documents: one scan instead of a look-up for each.
DELETE FROM chunk WHERE entity = %(entity)s;

-- name: forget_vectors :none
DELETE FROM {embedding} WHERE entity = %(entity)s;

-- name: count_documents :one
SELECT count(*) AS documents FROM document WHERE entity = %(entity)s;

-- name: find_stored :many
-- The stored state of the documents with these names. Served by document_name: LATERAL with OFFSET 0
-- looks each name up, however little the planner knows of a table that is being filled.
SELECT stored.* FROM unnest(%(external_ids)s::text[]) AS wanted (external_id)
CROSS JOIN LATERAL (
    SELECT external_id, document_id, version, content_hash, attributes_hash FROM document
    WHERE entity = %(entity)s AND source = %(source)s AND external_id = wanted.external_id
    OFFSET 0
) AS stored;

-- name: find_stored_chunks :many
SELECT
    chunk.chunk_id, document_id, chunk.ordinal, chunk.content_hash, chunk.text, document.title,
    chunk.headings
FROM chunk JOIN document USING (document_id)
WHERE document_id = ANY(%(documents)s::uuid[])
ORDER BY document_id, chunk.ordinal;

-- name: reserve_chunk_ids :many
SELECT nextval(pg_get_serial_sequence('chunk', 'chunk_id')) AS chunk_id
FROM generate_series(1, %(count)s);

-- name: find_embedded :many
-- Which of these contents have a vector in the space already.
SELECT entity, content_hash FROM {embedding}
WHERE (content_hash, entity) IN (
    SELECT * FROM unnest(%(hashes)s::bytea[], %(entities)s::text[])
);

-- name: stage :none
-- Tables of the session to COPY into: COPY cannot write to tables under row-level security.
CREATE TEMPORARY TABLE IF NOT EXISTS staged_document_3 (
    document_id uuid, entity text, source text, external_id text, title text, uri text,
    tags text[], metadata text, labels text, content_hash bytea, attributes_hash bytea,
    version integer, changed_at timestamptz, now timestamptz, trust text, local_only boolean,
    blanks text
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS staged_chunk_1 (
    chunk_id bigint, document_id uuid, entity text, ordinal integer, headings text[],
    span_start integer, span_end integer, tokens integer, text text, content_hash bytea
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS staged_posting_1 (
    term text, entity text, first_chunk_id bigint, last_chunk_id bigint, chunks integer,
    length bigint, postings bigint[]
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS staged_embedding_1 (
    content_hash bytea, entity text, embedding halfvec
) ON COMMIT DELETE ROWS;

-- name: copy_documents :none
COPY staged_document_3 FROM STDIN (FORMAT binary);

-- name: copy_chunks :none
COPY staged_chunk_1 FROM STDIN (FORMAT binary);

-- name: copy_postings :none
COPY staged_posting_1 FROM STDIN (FORMAT binary);

-- name: copy_embeddings :none
COPY staged_embedding_1 FROM STDIN (FORMAT binary);

-- name: insert_documents :none
-- A name that another process has just taken inserts nothing, so the count tells of the collision.
INSERT INTO document (
    document_id, entity, source, external_id, title, uri, tags, metadata, content_hash,
    attributes_hash, version, changed_at, added_at, updated_at, trust, local_only, blanks
)
SELECT
    document_id, entity, source, external_id, title, uri, tags, metadata::jsonb, content_hash,
    attributes_hash, version, changed_at, now, now, trust, local_only, coalesce(blanks, '')
FROM staged_document_3 WHERE version = 1
ON CONFLICT (source, entity, external_id) DO NOTHING;

-- name: update_documents :none
-- Only from the version that was read, so the count tells if another process was faster.
UPDATE document SET
    title = staged.title, uri = staged.uri, tags = staged.tags, metadata = staged.metadata::jsonb,
    content_hash = staged.content_hash, attributes_hash = staged.attributes_hash,
    version = staged.version, changed_at = staged.changed_at, updated_at = staged.now,
    trust = staged.trust, local_only = staged.local_only,
    blanks = coalesce(staged.blanks, document.blanks)
FROM staged_document_3 AS staged
WHERE document.document_id = staged.document_id
    AND document.version = staged.version - 1 AND staged.version > 1;

-- name: drop_labels :none
DELETE FROM document_label WHERE document_id = ANY(%(documents)s::uuid[]);

-- name: insert_labels :none
INSERT INTO document_label (label, entity, document_id)
SELECT jsonb_array_elements_text(labels::jsonb), entity, document_id FROM staged_document_3;

-- name: move_chunks :none
-- Chunks that stay may stand elsewhere now. Their places are checked when the transaction ends.
UPDATE chunk SET
    ordinal = moved.ordinal, span_start = moved.span_start, span_end = moved.span_end,
    headings = string_to_array(moved.headings, chr(31))
FROM unnest(
    %(chunk_ids)s::bigint[], %(ordinals)s::int[], %(starts)s::int[], %(ends)s::int[],
    %(headings)s::text[]
) AS moved (chunk_id, ordinal, span_start, span_end, headings)
WHERE chunk.chunk_id = moved.chunk_id;

-- name: defer_places :none
SET CONSTRAINTS chunk_place DEFERRED;

-- name: insert_chunks :none
INSERT INTO chunk (
    chunk_id, document_id, entity, ordinal, headings, span_start, span_end, tokens, text,
    content_hash
)
OVERRIDING SYSTEM VALUE
SELECT
    chunk_id, document_id, entity, ordinal, headings, span_start, span_end, tokens, text,
    content_hash
FROM staged_chunk_1;

-- name: delete_chunks :none
DELETE FROM chunk WHERE chunk_id = ANY(%(chunk_ids)s::bigint[]);

-- name: insert_embeddings :none
INSERT INTO {embedding} (content_hash, entity, embedding)
SELECT content_hash, entity, embedding FROM staged_embedding_1
ON CONFLICT (content_hash, entity) DO NOTHING;

-- name: delete_orphaned_embeddings :none
-- Vectors of contents that nothing in this space stands for any more.
DELETE FROM {embedding} AS embedding
WHERE embedding.content_hash = ANY(%(hashes)s::bytea[]) AND embedding.entity = %(entity)s
    AND NOT EXISTS ({holders});

-- name: holders :one
-- For the slot of that name: the chunks whose content a vector is, if the space may have it.
SELECT FROM chunk JOIN document USING (document_id)
WHERE chunk.content_hash = embedding.content_hash AND chunk.entity = embedding.entity
    AND (%(on_machine)s::boolean OR NOT document.local_only);

-- name: delete_private_embeddings :none
-- Vectors made elsewhere of what has now become private.
DELETE FROM {embedding} AS embedding
USING (
    SELECT content_hash, entity FROM chunk WHERE document_id = ANY(%(documents)s::uuid[])
) AS private
WHERE embedding.content_hash = private.content_hash AND embedding.entity = private.entity
    AND NOT EXISTS ({holders});

-- name: delete_orphaned_refusals :none
DELETE FROM embedding_refusal AS refusal
WHERE refusal.content_hash = ANY(%(hashes)s::bytea[]) AND refusal.entity = %(entity)s
    AND NOT EXISTS (
        SELECT FROM chunk
        WHERE chunk.content_hash = refusal.content_hash AND chunk.entity = refusal.entity
    );

-- name: forget_refusals :none
DELETE FROM embedding_refusal WHERE entity = %(entity)s;

-- name: insert_refusals :none
INSERT INTO embedding_refusal (space_id, content_hash, entity, reason, refused_at)
SELECT %(space_id)s, hash, entity, reason, %(now)s
FROM unnest(%(hashes)s::bytea[], %(entities)s::text[], %(reasons)s::text[])
    AS refused (hash, entity, reason)
ON CONFLICT (space_id, content_hash, entity) DO UPDATE SET
    reason = excluded.reason, refused_at = excluded.refused_at;

-- name: list_refusals :many
SELECT entity, reason, count(*) AS texts FROM embedding_refusal
WHERE space_id = %(space_id)s AND (%(entity)s::text IS NULL OR entity = %(entity)s)
GROUP BY entity, reason ORDER BY texts DESC, reason LIMIT 20;

-- name: mark_waiting :none
-- The last statement of a transaction that leaves texts without a vector: see lock_space.
UPDATE embedding_space SET waiting = true WHERE space_id = ANY(%(space_ids)s::smallint[]);

-- name: lock_space :maybe
-- Before asking whether nothing waits: whoever leaves something waiting holds this lock until it
-- can be seen.
SELECT space_id FROM embedding_space WHERE space_id = %(space_id)s FOR UPDATE;

-- name: settle_space :none
-- Nothing waits any more, if that is so.
UPDATE embedding_space SET waiting = false
WHERE space_id = %(space_id)s AND NOT EXISTS ({uncovered});

-- name: lock_documents :many
-- In one order for everybody, so that two who delete the same documents wait and do not deadlock.
SELECT document_id, entity FROM document
WHERE document_id = ANY(%(documents)s::uuid[]) AND (%(entity)s::text IS NULL OR entity = %(entity)s)
ORDER BY document_id
FOR UPDATE;

-- name: delete_documents :none
DELETE FROM document WHERE document_id = ANY(%(documents)s::uuid[]);

-- name: insert_postings :none
INSERT INTO lexical_posting (
    term, entity, first_chunk_id, last_chunk_id, chunks, length, postings
)
SELECT term, entity, first_chunk_id, last_chunk_id, chunks, length, postings FROM staged_posting_1;

-- name: clear_staged_postings :none
-- A transaction may stage more than once.
TRUNCATE staged_posting_1;

-- name: clear_staged_embeddings :none
TRUNCATE staged_embedding_1;

-- name: lock_lexical :one
-- Those who rewrite runs (removing, merging) take turns; those who only add do not wait.
SELECT pg_advisory_xact_lock(hashtextextended('higherself.lexical:' || %(entity)s, 0))::text;

-- name: remove_postings :none
-- Take these chunks out of the runs of these terms. Under lock_lexical. (24: CHUNK_SHIFT)
UPDATE lexical_posting AS run SET
    postings = rest.postings,
    chunks = cardinality(rest.postings),
    length = CASE WHEN run.term = '' THEN rest.length ELSE 0 END
FROM lexical_posting AS old
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(p ORDER BY p), ARRAY[]::bigint[]) AS postings,
        coalesce(sum(p & 65535), 0) AS length
    FROM unnest(old.postings) AS p
    WHERE p >> 24 NOT IN (SELECT unnest(%(chunk_ids)s::bigint[]))
) AS rest
WHERE (run.term, run.entity, run.first_chunk_id) = (old.term, old.entity, old.first_chunk_id)
    AND old.entity = %(entity)s
    AND old.term = ANY(%(terms)s::text[])
    AND EXISTS (
        SELECT FROM unnest(%(chunk_ids)s::bigint[]) AS gone
        WHERE gone BETWEEN old.first_chunk_id AND old.last_chunk_id
    );

-- name: delete_empty_runs :none
DELETE FROM lexical_posting
WHERE entity = %(entity)s AND term = ANY(%(terms)s::text[]) AND chunks = 0;

-- name: count_short_runs :one
-- How many transactions have left short runs behind since the last merge.
SELECT count(*) AS runs FROM lexical_posting
WHERE term = '' AND entity = %(entity)s AND chunks < %(short)s;

-- name: merge_runs :none
-- Make one run of the short runs of every term that has many. Under lock_lexical.
WITH crowded AS (
    SELECT term FROM lexical_posting
    WHERE entity = %(entity)s AND chunks < %(short)s
    GROUP BY term HAVING count(*) >= %(crowd)s
),
gone AS (
    DELETE FROM lexical_posting
    WHERE entity = %(entity)s AND chunks < %(short)s AND term IN (SELECT term FROM crowded)
    RETURNING term, postings
)
INSERT INTO lexical_posting (
    term, entity, first_chunk_id, last_chunk_id, chunks, length, postings
)
SELECT
    term, %(entity)s, min(p >> 24), max(p >> 24), count(*),
    CASE WHEN term = '' THEN sum(p & 65535) ELSE 0 END, array_agg(p ORDER BY p)
FROM gone, unnest(postings) AS p
GROUP BY term;

-- name: add_space :one
-- The same name gives the same space, whoever adds it first. Whatever is stored already waits.
INSERT INTO embedding_space (
    name, provider, model, dimensions, tier, state, on_machine, waiting, created_at
)
VALUES (
    %(name)s, %(provider)s, %(model)s, %(dimensions)s, %(tier)s, %(state)s, %(on_machine)s,
    %(tier)s::text IS NOT NULL AND EXISTS (SELECT FROM chunk), %(now)s
)
ON CONFLICT (name) DO UPDATE SET tier = coalesce(embedding_space.tier, excluded.tier)
RETURNING space_id, name, provider, model, dimensions, tier, state, on_machine, waiting,
    xmax = 0 AS made;

-- name: adopt_space :none
-- A space that an earlier release, or a caller with vectors, made for what is a tier now.
UPDATE embedding_space SET
    tier = %(tier)s, on_machine = %(on_machine)s, waiting = EXISTS (SELECT FROM chunk)
WHERE space_id = %(space_id)s AND tier IS NULL;

-- name: set_space_state :none
UPDATE embedding_space SET state = %(state)s WHERE space_id = %(space_id)s;

-- name: replace_active_space :none
-- In the same transaction as the successor becomes active: searches see the one or the other.
UPDATE embedding_space SET state = 'filling'
WHERE tier = %(tier)s AND state = 'active' AND space_id <> %(space_id)s;

-- name: expect_everything :none
-- A retired space has missed what came since.
UPDATE embedding_space SET waiting = EXISTS (SELECT FROM chunk) WHERE space_id = %(space_id)s;

-- name: create_space_table :none
CREATE TABLE IF NOT EXISTS {embedding} (
    content_hash bytea NOT NULL,
    entity text NOT NULL,
    embedding halfvec({dimensions}) NOT NULL,
    PRIMARY KEY (content_hash, entity)
);

-- name: store_vectors_plainly :none
-- Narrow rows with the vector in them: a third of the time of a scan through TOAST.
ALTER TABLE {embedding} ALTER COLUMN embedding SET STORAGE PLAIN;

-- name: enable_space_security :none
ALTER TABLE {embedding} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- name: create_space_policy :none
CREATE POLICY entity_scope ON {embedding} USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- name: may_index :one
-- Two who build one index at once would wait for each other for ever.
SELECT pg_try_advisory_xact_lock(hashtextextended('higherself.index:' || %(table)s, 0)) AS ours;

-- name: create_space_index :none
-- pgvector's defaults, spelled out: recall 0.98 at ef_search 100 on 100,000 vectors (measured).
CREATE INDEX {index} ON {embedding} USING hnsw (embedding halfvec_cosine_ops)
WITH (m = 16, ef_construction = 64);

-- name: drop_space_index :none
DROP INDEX IF EXISTS {index};

-- name: drop_space_table :none
DROP TABLE IF EXISTS {embedding};

-- name: forget_space :none
DELETE FROM embedding_space WHERE space_id = %(space_id)s;

-- name: list_spaces :many
SELECT space_id, name, provider, model, dimensions, tier, state, on_machine, waiting
FROM embedding_space ORDER BY space_id;

-- name: find_left_out :one
-- Whether anything must not leave this machine (served by document_local_only), and which spaces
-- some text was refused for.
SELECT
    EXISTS (SELECT FROM document WHERE local_only) AS private,
    ARRAY(SELECT DISTINCT space_id FROM embedding_refusal) AS refusing;

-- name: lacking :many
-- Which of these chunks have no vector in a space.
SELECT chunk_id FROM chunk
WHERE chunk_id = ANY(%(chunk_ids)s::bigint[]) AND NOT EXISTS (
    SELECT FROM {embedding} AS embedding
    WHERE embedding.content_hash = chunk.content_hash AND embedding.entity = chunk.entity
);

-- name: count_space :one
-- Served by scans: for people who look, and for searches while something waits, not for every one.
SELECT
    count(*) AS chunks,
    count(*) FILTER (WHERE embedding.content_hash IS NOT NULL) AS covered,
    count(*) FILTER (WHERE NOT %(on_machine)s::boolean AND document.local_only) AS private,
    count(*) FILTER (
        WHERE embedding.content_hash IS NULL AND refusal.content_hash IS NOT NULL
    ) AS refused
FROM chunk
JOIN document USING (document_id)
LEFT JOIN {embedding} AS embedding
    ON embedding.content_hash = chunk.content_hash AND embedding.entity = chunk.entity
LEFT JOIN embedding_refusal AS refusal
    ON refusal.space_id = %(space_id)s AND refusal.content_hash = chunk.content_hash
        AND refusal.entity = chunk.entity
WHERE %(entity)s::text IS NULL OR chunk.entity = %(entity)s;

-- name: measure_space :one
-- How many vectors a space holds, about: the planner's estimate, or the truth while it is small;
-- and whether it has its index.
SELECT
    CASE
        WHEN reltuples > 20000 THEN reltuples::bigint
        ELSE (SELECT count(*) FROM (SELECT FROM {embedding} LIMIT 20001) AS few)
    END AS vectors,
    EXISTS (
        SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisvalid AND NOT indisprimary
    ) AS indexed
FROM pg_class WHERE oid = %(table)s::regclass;

-- name: use_memory_for_index :none
-- For this transaction: a graph that fits in memory is built many times faster.
SELECT set_config('maintenance_work_mem', '512MB', true),
    set_config('max_parallel_maintenance_workers', '2', true);

-- name: use_one_processor_for_index :none
SET LOCAL max_parallel_maintenance_workers = 0;

-- name: analyse_space :none
ANALYZE {embedding};

-- name: analyse_knowledge :none
-- After much was added: without statistics the planner reads whole tables (measured: four times
-- the time of a search by words), and autovacuum comes only after a minute.
-- (Texts and postings are long, and no plan depends on what is in them.)
ANALYZE document, document_label, chunk (chunk_id, document_id, entity, ordinal, content_hash),
    lexical_posting (term, entity, first_chunk_id, chunks);

-- name: count_terms :many
-- In how many chunks each term occurs ('' counts the chunks), and the chunks' length in terms.
SELECT term, sum(chunks)::bigint AS chunks, sum(length)::bigint AS length FROM lexical_posting
WHERE term = ANY(%(terms)s::text[]) AND (%(entity)s::text IS NULL OR entity = %(entity)s)
GROUP BY term;

-- name: score_terms :many
-- BM25: the best chunks by the full terms, completed with the rescored ones (see LexicalPlan).
-- A posting is chunk_id << 24 | frequency << 16 | length. Served by lexical_posting_run.
WITH candidate AS MATERIALIZED (
    SELECT p >> 24 AS chunk_id, {bm25} AS score
    FROM (
        SELECT term.weight, unnest(run.postings) AS p
        FROM unnest(%(terms)s::text[], %(weights)s::float8[]) AS term (term, weight)
        JOIN lexical_posting AS run USING (term)
        WHERE %(entity)s::text IS NULL OR run.entity = %(entity)s
    ) AS posting
    WHERE {restriction}
    GROUP BY p >> 24
    ORDER BY score DESC, chunk_id
    LIMIT %(depth)s
),
rest AS (
    SELECT p >> 24 AS chunk_id, {bm25} AS score
    FROM (
        SELECT term.weight, unnest(run.postings) AS p
        FROM unnest(%(more_terms)s::text[], %(more_weights)s::float8[]) AS term (term, weight)
        JOIN lexical_posting AS run USING (term)
        WHERE %(entity)s::text IS NULL OR run.entity = %(entity)s
    ) AS posting
    WHERE p >> 24 IN (SELECT chunk_id FROM candidate)
    GROUP BY p >> 24
)
SELECT chunk_id, candidate.score + coalesce(rest.score, 0) AS score
FROM candidate LEFT JOIN rest USING (chunk_id)
ORDER BY score DESC, chunk_id
LIMIT %(limit)s;

-- name: bm25 :one
-- The score of a chunk for score_terms: the sum over its postings p, unpacked.
sum(
    weight * ((p >> 16) & 255)
    / (((p >> 16) & 255) + %(flat)s::float8 + %(slope)s::float8 * (p & 65535))
);

-- name: unrestricted :one
-- A restriction for score_terms: none.
true;

-- name: among_chunks :one
-- A restriction for score_terms: one of these chunks.
p >> 24 = ANY(%(chunk_ids)s::bigint[]);

-- name: among_allowed :one
-- A restriction for score_terms: a chunk that the filter allows.
p >> 24 IN (SELECT allowed.chunk_id FROM ({allowed}) AS allowed);

-- name: conditions :one
-- What a filter asks of a document and its chunk. Absent ones are NULL and fold away when planned.
(%(entity)s::text IS NULL OR document.entity = %(entity)s)
    AND (%(sources)s::text[] IS NULL OR document.source = ANY(%(sources)s))
    AND (%(tags)s::text[] IS NULL OR document.tags @> %(tags)s)
    AND (%(metadata)s::jsonb IS NULL OR document.metadata @> %(metadata)s)
    AND (%(since)s::timestamptz IS NULL OR document.changed_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR document.changed_at < %(until)s)
    AND (%(patterns)s::text[] IS NULL OR chunk.text ~* ALL(%(patterns)s));

-- name: allowed :many
-- The chunks that a filter allows.
SELECT chunk.chunk_id, chunk.content_hash, chunk.entity
FROM document JOIN chunk USING (document_id)
WHERE {conditions};

-- name: allowed_with_phrase :many
-- The same when a phrase must occur: only chunks that have all its terms are read for it.
SELECT chunk.chunk_id, chunk.content_hash, chunk.entity
FROM (
    SELECT p >> 24 AS chunk_id FROM (
        SELECT unnest(postings) AS p FROM lexical_posting
        WHERE term = ANY(%(phrase_terms)s::text[])
            AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    ) AS posting
    GROUP BY p >> 24
    HAVING count(*) = cardinality(%(phrase_terms)s::text[])
) AS candidate
JOIN chunk USING (chunk_id)
JOIN document USING (document_id)
WHERE {conditions};

-- name: allowed_with_labels :many
-- The same when tags or metadata are asked for: found by their labels, then checked.
SELECT chunk.chunk_id, chunk.content_hash, chunk.entity
FROM (
    SELECT document_id FROM document_label
    WHERE label = ANY(%(labels)s::text[])
    GROUP BY document_id
    HAVING count(*) = cardinality(%(labels)s::text[])
) AS candidate
JOIN document USING (document_id)
JOIN chunk USING (document_id)
WHERE {conditions};

-- name: allowed_with_tags :many
-- The same when nothing but tags (and a business) is asked for: their labels say it all.
SELECT chunk.chunk_id, chunk.content_hash, chunk.entity
FROM (
    SELECT document_id FROM document_label
    WHERE label = ANY(%(labels)s::text[])
        AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    GROUP BY document_id
    HAVING count(*) = cardinality(%(labels)s::text[])
) AS candidate
JOIN chunk USING (document_id);

-- name: some_allowed :many
-- The chunks that a filter allows, if they are few; else one more than that.
SELECT allowed.* FROM ({allowed}) AS allowed LIMIT %(limit)s;

-- name: nearest :one
-- The nearest contents of all, and their chunks. Served by the HNSW index, once there is one.
-- (This and the next four are for the slot near, of candidates and of described.)
SELECT hit.chunk_id, 1 - near.distance AS score, hit.document_id, hit.ordinal, hit.headings, hit.text
FROM (
    SELECT content_hash, entity, embedding <=> %(vector)s AS distance
    FROM {embedding}
    ORDER BY embedding <=> %(vector)s
    LIMIT %(limit)s
) AS near CROSS JOIN LATERAL (
    SELECT chunk_id, document_id, ordinal, headings, text FROM chunk
    WHERE chunk.content_hash = near.content_hash AND chunk.entity = near.entity
    OFFSET 0
) AS hit
ORDER BY near.distance, hit.chunk_id
LIMIT %(limit)s;

-- name: nearest_of_entity :one
-- The same for one business; the index is scanned on until enough of its rows were met.
SELECT hit.chunk_id, 1 - near.distance AS score, hit.document_id, hit.ordinal, hit.headings, hit.text
FROM (
    SELECT content_hash, entity, embedding <=> %(vector)s AS distance
    FROM {embedding}
    WHERE entity = %(entity)s
    ORDER BY embedding <=> %(vector)s
    LIMIT %(limit)s
) AS near CROSS JOIN LATERAL (
    SELECT chunk_id, document_id, ordinal, headings, text FROM chunk
    WHERE chunk.content_hash = near.content_hash AND chunk.entity = near.entity
    OFFSET 0
) AS hit
ORDER BY near.distance, hit.chunk_id
LIMIT %(limit)s;

-- name: nearest_among :one
-- Exact: every one of these chunks is compared. For few chunks this is the fastest, too.
-- (MATERIALIZED keeps the planner from walking the HNSW index instead, which is neither.)
WITH measured AS MATERIALIZED (
    SELECT chunk.chunk_id, embedding.embedding <=> %(vector)s AS distance, chunk.document_id,
        chunk.ordinal, chunk.headings, chunk.text
    FROM chunk JOIN {embedding} AS embedding USING (content_hash, entity)
    WHERE chunk.chunk_id = ANY(%(chunk_ids)s::bigint[])
)
SELECT chunk_id, 1 - distance AS score, document_id, ordinal, headings, text FROM measured
ORDER BY distance, chunk_id
LIMIT %(limit)s;

-- name: nearest_allowed :one
-- The nearest that a wide filter allows: the index is scanned on, each content checked as it comes
-- (LATERAL with OFFSET 0 keeps the planner from turning the join around).
SELECT near.chunk_id, 1 - near.distance AS score, near.document_id, near.ordinal, near.headings,
    near.text
FROM (
    SELECT hit.*, embedding.embedding <=> %(vector)s AS distance
    FROM {embedding} AS embedding
    CROSS JOIN LATERAL (
        SELECT chunk.chunk_id, chunk.document_id, chunk.ordinal, chunk.headings, chunk.text
        FROM chunk JOIN document USING (document_id)
        WHERE chunk.content_hash = embedding.content_hash AND chunk.entity = embedding.entity
            AND {conditions}
        OFFSET 0
    ) AS hit
    ORDER BY embedding.embedding <=> %(vector)s
    LIMIT %(limit)s
) AS near
ORDER BY near.distance, near.chunk_id;

-- name: candidates :many
-- The nearest and how near they are.
SELECT near.chunk_id, near.score FROM ({near}) AS near ORDER BY near.score DESC, near.chunk_id;

-- name: described :many
-- The nearest with what a hit shows, at once. (LATERAL with OFFSET 0 looks each document up: of
-- a limit that it does not know the planner thinks the worst, and reads them all.)
SELECT
    near.chunk_id, near.score, near.ordinal, near.headings, near.text, described.*
FROM ({near}) AS near CROSS JOIN LATERAL (
    SELECT document_id, entity, source, external_id, title, uri, tags, metadata, changed_at,
        trust, local_only
    FROM document WHERE document.document_id = near.document_id
    OFFSET 0
) AS described
ORDER BY near.score DESC, near.chunk_id;

-- name: nearest_these :many
-- Exact, for chunks whose contents are known already: one look-up for each instead of two.
WITH measured AS MATERIALIZED (
    SELECT these.chunk_id, embedding.embedding <=> %(vector)s AS distance
    FROM unnest(%(chunk_ids)s::bigint[], %(hashes)s::bytea[], %(entities)s::text[])
        AS these (chunk_id, content_hash, entity)
    JOIN {embedding} AS embedding USING (content_hash, entity)
)
SELECT chunk_id, 1 - distance AS score FROM measured
ORDER BY distance, chunk_id
LIMIT %(limit)s;

-- name: nearest_few :many
-- Exact, with what a hit shows, if the filter allows but few chunks; in any case how many it does
-- (up to one more than few). LATERAL with OFFSET 0 looks each vector up, whatever the planner
-- thinks of how many there will be.
WITH allowed AS MATERIALIZED (
    SELECT found.* FROM ({allowed}) AS found LIMIT %(few)s + 1
),
counted AS (
    SELECT count(*) AS allowed FROM allowed
),
near AS (
    SELECT allowed.chunk_id, 1 - measured.distance AS score
    FROM allowed CROSS JOIN LATERAL (
        SELECT embedding.embedding <=> %(vector)s AS distance FROM {embedding} AS embedding
        WHERE embedding.content_hash = allowed.content_hash AND embedding.entity = allowed.entity
        OFFSET 0
    ) AS measured
    WHERE (SELECT counted.allowed FROM counted) <= %(few)s
    ORDER BY measured.distance, allowed.chunk_id
    LIMIT %(limit)s
)
SELECT counted.allowed, described.* FROM counted LEFT JOIN (
    SELECT
        near.chunk_id, near.score, chunk.ordinal, chunk.headings, chunk.text, document.document_id,
        document.entity, document.source, document.external_id, document.title, document.uri,
        document.tags, document.metadata, document.changed_at, document.trust, document.local_only
    FROM near JOIN chunk USING (chunk_id) JOIN document USING (document_id)
) AS described ON true
ORDER BY described.score DESC, described.chunk_id;

-- name: describe_chunks :many
-- What a hit shows of its chunk and document.
SELECT
    chunk.chunk_id, chunk.ordinal, chunk.headings, chunk.text, document.document_id,
    document.entity, document.source, document.external_id, document.title, document.uri,
    document.tags, document.metadata, document.changed_at, document.trust, document.local_only
FROM chunk JOIN document USING (document_id)
WHERE chunk.chunk_id = ANY(%(chunk_ids)s::bigint[]);

-- name: find_neighbours :many
-- The chunks up to %(distance)s places before and after each of these.
SELECT hit.chunk_id AS hit, near.chunk_id, near.ordinal, near.headings, near.text
FROM chunk AS hit
JOIN chunk AS near ON near.document_id = hit.document_id
    AND near.ordinal BETWEEN hit.ordinal - %(distance)s AND hit.ordinal + %(distance)s
    AND near.ordinal <> hit.ordinal
WHERE hit.chunk_id = ANY(%(chunk_ids)s::bigint[])
ORDER BY hit.chunk_id, near.ordinal;

-- name: show_document :maybe
SELECT
    document_id, entity, source, external_id, title, uri, tags, metadata, version, changed_at,
    added_at, updated_at, trust, local_only
FROM document
WHERE document_id = %(document)s AND (%(entity)s::text IS NULL OR entity = %(entity)s);

-- name: find_existing :many
-- Which of these documents there are.
SELECT document_id FROM document
WHERE document_id = ANY(%(documents)s::uuid[]) AND (%(entity)s::text IS NULL OR entity = %(entity)s);

-- name: find_documents_named :many
-- Documents whose name at their source is this: for people, who have no identifier at hand.
SELECT document_id FROM document
WHERE external_id = %(external_id)s AND (%(entity)s::text IS NULL OR entity = %(entity)s)
ORDER BY document_id LIMIT 10;

-- name: list_documents :many
-- A page of documents, newest first. Keyset: start after the last one seen.
SELECT document_id, entity, source, external_id, title, uri, tags, version, changed_at, updated_at,
    trust, local_only
FROM document
WHERE (%(entity)s::text IS NULL OR entity = %(entity)s)
    AND (%(source)s::text IS NULL OR source = %(source)s)
    AND (%(after)s::uuid IS NULL OR document_id < %(after)s)
ORDER BY document_id DESC
LIMIT %(limit)s;

-- name: read_documents :many
-- Documents with their chunks, in order: for whoever wants the whole texts.
SELECT
    document_id, document.entity, document.source, document.external_id, document.title,
    document.uri, document.tags, document.metadata, document.version, document.changed_at,
    document.added_at, document.updated_at, document.trust, document.local_only, document.blanks,
    chunk.span_start, chunk.span_end, chunk.text
FROM document LEFT JOIN chunk USING (document_id)
WHERE %(entity)s::text IS NULL OR document.entity = %(entity)s
ORDER BY document_id DESC, chunk.ordinal;

-- name: list_names :many
-- The names of all documents of a source: to see which are gone there.
SELECT document_id, external_id FROM document
WHERE entity = %(entity)s AND source = %(source)s;

-- name: show_chunks :many
SELECT chunk_id, ordinal, headings, span_start, span_end, tokens, text FROM chunk
WHERE document_id = %(document)s ORDER BY ordinal;

-- name: count_knowledge :one
-- The bytes are those of the database; of one business, those of its texts.
SELECT
    (
        SELECT count(*) FROM document WHERE %(entity)s::text IS NULL OR entity = %(entity)s
    ) AS documents,
    count(*) AS chunks,
    coalesce(sum(tokens), 0) AS tokens,
    (
        SELECT count(DISTINCT term) FROM lexical_posting
        WHERE %(entity)s::text IS NULL OR entity = %(entity)s
    ) AS terms,
    CASE
        WHEN %(entity)s::text IS NULL THEN pg_database_size(current_database())
        ELSE coalesce(sum(octet_length(text)), 0)
    END AS bytes
FROM chunk
WHERE %(entity)s::text IS NULL OR entity = %(entity)s;

-- name: count_by_source :many
SELECT entity, source, count(*) AS documents FROM document
WHERE %(entity)s::text IS NULL OR entity = %(entity)s
GROUP BY entity, source ORDER BY entity, source;

-- name: uncovered :one
-- For the slot of that name: the chunks that a space should have a vector of, and has not.
SELECT FROM chunk JOIN document USING (document_id)
WHERE NOT EXISTS (
        SELECT FROM {embedding} AS embedding
        WHERE embedding.content_hash = chunk.content_hash AND embedding.entity = chunk.entity
    )
    AND NOT EXISTS (
        SELECT FROM embedding_refusal AS refusal
        WHERE refusal.space_id = %(space_id)s AND refusal.content_hash = chunk.content_hash
            AND refusal.entity = chunk.entity
    )
    AND (%(on_machine)s::boolean OR NOT document.local_only)
    AND (%(entity)s::text IS NULL OR chunk.entity = %(entity)s);

-- name: find_uncovered :many
-- Contents that lack a vector in a space, in the order of their hashes, after a given one.
SELECT DISTINCT ON (chunk.content_hash, chunk.entity)
    chunk.content_hash, chunk.entity, chunk.text, chunk.headings, document.title
FROM chunk JOIN document USING (document_id)
WHERE (chunk.content_hash, chunk.entity) > (%(after_hash)s::bytea, %(after_entity)s::text)
    AND NOT EXISTS (
        SELECT FROM {embedding} AS embedding
        WHERE embedding.content_hash = chunk.content_hash AND embedding.entity = chunk.entity
    )
    AND NOT EXISTS (
        SELECT FROM embedding_refusal AS refusal
        WHERE refusal.space_id = %(space_id)s AND refusal.content_hash = chunk.content_hash
            AND refusal.entity = chunk.entity
    )
    AND (%(on_machine)s::boolean OR NOT document.local_only)
    AND (%(entity)s::text IS NULL OR chunk.entity = %(entity)s)
ORDER BY chunk.content_hash, chunk.entity
LIMIT %(limit)s;

-- name: sample_chunks :many
SELECT chunk.chunk_id, chunk.text FROM chunk JOIN document USING (document_id)
WHERE %(on_machine)s::boolean OR NOT document.local_only
ORDER BY random() LIMIT %(limit)s;

-- name: count_uncovered :one
SELECT count(*) AS chunks FROM ({uncovered}) AS uncovered;

-- name: count_orphans :one
SELECT count(*) AS vectors FROM {embedding} AS embedding
WHERE (%(entity)s::text IS NULL OR embedding.entity = %(entity)s) AND NOT EXISTS ({holders});

-- name: delete_all_orphans :none
DELETE FROM {embedding} AS embedding
WHERE (%(entity)s::text IS NULL OR embedding.entity = %(entity)s) AND NOT EXISTS ({holders});

-- name: clear_lexical :none
DELETE FROM lexical_posting WHERE entity = %(entity)s;

-- name: list_sources :many
-- The sources a business has documents from. Goes from each source to the next on document_name,
-- however many documents they have: seen by the operator, or it would pass over those of others.
WITH RECURSIVE known (source) AS (
    (SELECT source FROM document ORDER BY source LIMIT 1)
    UNION ALL
    SELECT (
        SELECT document.source FROM document
        WHERE document.source > known.source
        ORDER BY document.source LIMIT 1
    )
    FROM known WHERE known.source IS NOT NULL
)
SELECT source FROM known
WHERE EXISTS (
    SELECT FROM document WHERE document.source = known.source AND document.entity = %(entity)s
)
ORDER BY source;

-- name: read_named :many
-- The documents of these names with their chunks, in order. Served by document_name, as find_stored.
SELECT
    document.*, chunk.span_start, chunk.span_end, chunk.text
FROM unnest(%(external_ids)s::text[]) AS wanted (external_id)
CROSS JOIN LATERAL (
    SELECT
        document_id, entity, source, external_id, title, uri, tags, metadata, version, changed_at,
        added_at, updated_at, trust, local_only, blanks
    FROM document
    WHERE entity = %(entity)s AND source = %(source)s AND external_id = wanted.external_id
    OFFSET 0
) AS document
JOIN chunk USING (document_id)
ORDER BY document.document_id, chunk.ordinal;

-- name: read_vectors :many
-- The vectors of these chunks in one space.
SELECT chunk.chunk_id, embedding.embedding
FROM chunk JOIN {embedding} AS embedding USING (content_hash, entity)
WHERE chunk.chunk_id = ANY(%(chunk_ids)s::bigint[])
    AND (%(entity)s::text IS NULL OR chunk.entity = %(entity)s);
