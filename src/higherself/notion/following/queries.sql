-- What the follower remembers. Read by `follow_store`.

-- name: follow_alone :one
-- One process follows at a time; the lock goes with the connection, however it ends.
SELECT pg_try_advisory_xact_lock(hashtext('higherself.notion.follow')) AS ours;

-- name: every_source :many
SELECT data_source_id, database_id, title, parent_id, state, watermark, settled, listed_at, problem
FROM notion_source ORDER BY data_source_id;

-- name: remember_source :none
INSERT INTO notion_source (data_source_id, database_id, title, parent_id, state)
VALUES (%(source)s, %(database)s, %(title)s, %(parent)s, 'followed')
ON CONFLICT (data_source_id) DO UPDATE SET
    database_id = excluded.database_id, title = excluded.title, parent_id = excluded.parent_id;

-- name: source_state :none
UPDATE notion_source SET state = %(state)s, problem = %(problem)s WHERE data_source_id = %(source)s;

-- name: source_listed :none
UPDATE notion_source SET watermark = %(watermark)s, settled = %(settled)s, listed_at = %(at)s,
    state = 'followed', problem = NULL
WHERE data_source_id = %(source)s;

-- name: known_pages :many
SELECT page_id, edited, read_at, state, data_source_id, parent_id, missing, held_at IS NOT NULL AS held FROM notion_page
WHERE page_id = ANY(%(pages)s);

-- name: pages_read :none
-- Pages that all watchers have seen. One statement for a batch.
INSERT INTO notion_page (page_id, data_source_id, parent_id, title, url, edited, read_at, state, since,
    missing, due_at, attempts, problem, held_at, lag_seconds)
SELECT page_id, data_source_id, parent_id, title, url, edited, %(at)s, 'live', %(at)s, 0, due_at, 0, NULL,
    NULL, NULL
FROM unnest(%(pages)s::text[], %(sources)s::text[], %(parents)s::text[], %(titles)s::text[],
    %(urls)s::text[], %(edits)s::timestamptz[], %(dues)s::timestamptz[])
    AS given (page_id, data_source_id, parent_id, title, url, edited, due_at)
ON CONFLICT (page_id) DO UPDATE SET
    data_source_id = excluded.data_source_id, parent_id = excluded.parent_id, title = excluded.title,
    url = excluded.url, edited = excluded.edited, read_at = excluded.read_at, state = 'live',
    since = CASE WHEN notion_page.state = 'live' THEN notion_page.since ELSE excluded.since END,
    missing = 0, due_at = excluded.due_at, attempts = 0, problem = NULL, held_at = NULL,
    lag_seconds = CASE
        WHEN notion_page.edited IS DISTINCT FROM excluded.edited
            AND excluded.edited > %(began)s::timestamptz
        THEN extract(epoch FROM %(now)s - excluded.edited)
        ELSE notion_page.lag_seconds END;

-- name: pages_failed :none
INSERT INTO notion_page (page_id, data_source_id, parent_id, title, url, state, since, due_at, attempts, problem)
SELECT page_id, data_source_id, parent_id, title, url, 'live', %(at)s, %(at)s::timestamptz + interval '30 seconds', 1, problem
FROM unnest(%(pages)s::text[], %(sources)s::text[], %(parents)s::text[], %(titles)s::text[],
    %(urls)s::text[], %(problems)s::text[])
    AS given (page_id, data_source_id, parent_id, title, url, problem)
ON CONFLICT (page_id) DO UPDATE SET
    attempts = least(notion_page.attempts + 1, 100), problem = excluded.problem,
    -- After eight attempts it rests, until it is edited or everything is read again.
    due_at = CASE WHEN notion_page.attempts + 1 >= 8 THEN NULL
        ELSE %(at)s::timestamptz + least(interval '30 seconds' * (2 ^ notion_page.attempts), interval '1 hour') END;

-- name: pages_away :none
-- The state of pages that are gone, archived or out of reach.
INSERT INTO notion_page (page_id, title, state, since)
SELECT page_id, '', %(state)s, %(at)s FROM unnest(%(pages)s::text[]) AS given (page_id)
ON CONFLICT (page_id) DO UPDATE SET state = excluded.state,
    since = CASE WHEN notion_page.state = excluded.state THEN notion_page.since ELSE excluded.since END,
    due_at = NULL, attempts = 0, problem = NULL,
    held_at = CASE WHEN excluded.state = 'lost' THEN notion_page.held_at END,
    missing = CASE WHEN excluded.state = 'lost' THEN least(notion_page.missing + %(missed)s, 100) ELSE 0 END;

-- name: page_is_due :none
INSERT INTO notion_page (page_id, inside_id, title, state, since, due_at)
SELECT page_id, inside_id, title, 'live', %(at)s, %(at)s
FROM unnest(%(pages)s::text[], %(insides)s::text[], %(titles)s::text[]) AS given (page_id, inside_id, title)
ON CONFLICT (page_id) DO UPDATE SET due_at = %(at)s
WHERE %(again)s OR notion_page.read_at IS NULL;

-- name: pages_inside :none
UPDATE notion_page SET inside_id = given.inside_id
FROM unnest(%(pages)s::text[], %(insides)s::text[]) AS given (page_id, inside_id)
WHERE notion_page.page_id = given.page_id AND notion_page.inside_id IS DISTINCT FROM given.inside_id;

-- name: due_pages :many
SELECT page_id, edited, read_at, state, data_source_id, parent_id, missing, held_at IS NOT NULL AS held, title, inside_id FROM notion_page
WHERE due_at <= %(now)s ORDER BY due_at, page_id LIMIT %(limit)s;

-- name: due_from_source :many
SELECT page_id, edited, read_at, state, data_source_id, parent_id, missing, held_at IS NOT NULL AS held, title, inside_id FROM notion_page
WHERE due_at <= %(now)s AND data_source_id = ANY(%(sources)s) ORDER BY due_at, page_id LIMIT %(limit)s;

-- name: below :many
-- The pages that stand in these, however deep, and are in one of these states.
WITH RECURSIVE under AS (
    SELECT page_id FROM notion_page
    WHERE parent_id = ANY(%(pages)s) OR inside_id = ANY(%(pages)s) OR data_source_id = ANY(%(pages)s)
    UNION
    SELECT child.page_id FROM notion_page AS child
    JOIN under ON under.page_id IN (child.parent_id, child.inside_id)
)
SELECT notion_page.page_id, edited, read_at, state, data_source_id, parent_id, missing, held_at IS NOT NULL AS held
FROM notion_page JOIN under USING (page_id) WHERE state = ANY(%(states)s);

-- name: hold_pages :none
UPDATE notion_page SET held_at = coalesce(held_at, %(at)s) WHERE page_id = ANY(%(pages)s);

-- name: held_pages :many
SELECT page_id, edited, read_at, state, data_source_id, parent_id, missing, held_at IS NOT NULL AS held FROM notion_page
WHERE held_at IS NOT NULL ORDER BY page_id;

-- name: unseen_pages :many
-- Pages that should have been in a full listing that began then, and were not.
SELECT page_id, edited, read_at, state, data_source_id, parent_id, missing, held_at IS NOT NULL AS held FROM notion_page
WHERE state IN ('live', 'lost') AND (listed_at IS NULL OR listed_at < %(began)s)
    AND held_at IS NULL
    AND (data_source_id IS NULL AND %(loose)s OR data_source_id = ANY(%(sources)s))
ORDER BY page_id;

-- name: pages_listed :none
UPDATE notion_page SET listed_at = %(at)s, missing = 0 WHERE page_id = ANY(%(pages)s);

-- name: count_pages :one
SELECT count(*) FILTER (WHERE state = 'live') AS live, count(*) AS known,
    count(*) FILTER (WHERE state = 'gone') AS gone, count(*) FILTER (WHERE state = 'archived') AS archived,
    count(*) FILTER (WHERE state = 'lost' AND read_at IS NOT NULL) AS lost, count(held_at) AS held,
    count(*) FILTER (WHERE problem IS NOT NULL) AS failing,
    count(*) FILTER (WHERE problem IS NOT NULL AND due_at IS NULL) AS resting,
    count(*) FILTER (WHERE due_at <= %(now)s) AS due
FROM notion_page;

-- name: lag :one
SELECT count(lag_seconds) AS changes,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY lag_seconds) AS p50,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY lag_seconds) AS p95
FROM (SELECT lag_seconds FROM notion_page WHERE lag_seconds IS NOT NULL AND read_at > %(since)s
    ORDER BY read_at DESC LIMIT 1000) AS recent;

-- name: troubled_pages :many
SELECT page_id, title, url, state, attempts, due_at, problem, held_at FROM notion_page
WHERE problem IS NOT NULL OR held_at IS NOT NULL OR (state = 'lost' AND read_at IS NOT NULL)
ORDER BY since DESC, page_id LIMIT %(limit)s;

-- name: read_checkpoint :maybe
SELECT value, at FROM notion_checkpoint WHERE name = %(name)s;

-- name: write_checkpoint :none
INSERT INTO notion_checkpoint (name, value, at) VALUES (%(name)s, %(value)s, %(at)s)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at;

-- name: drop_checkpoint :none
DELETE FROM notion_checkpoint WHERE name = %(name)s;

-- name: receive_event :one
WITH stored AS (
    INSERT INTO notion_event (event_id, type, subject_kind, subject_id, sent_at, received_at)
    VALUES (%(event)s, %(type)s, %(kind)s, %(subject)s, %(sent)s, %(at)s)
    ON CONFLICT (event_id) DO NOTHING RETURNING 1
)
SELECT EXISTS (SELECT FROM stored) AS fresh;

-- name: waiting_events :many
SELECT event_id, type, subject_kind, subject_id, received_at FROM notion_event
WHERE handled_at IS NULL ORDER BY received_at, event_id LIMIT %(limit)s;

-- name: events_handled :none
UPDATE notion_event SET handled_at = %(at)s WHERE event_id = ANY(%(events)s);

-- name: count_events :one
SELECT count(*) FILTER (WHERE handled_at IS NULL) AS waiting, count(*) AS received,
    max(received_at) AS last FROM notion_event WHERE received_at > %(since)s;

-- name: prune_events :none
DELETE FROM notion_event WHERE handled_at IS NOT NULL AND received_at < %(before)s;
