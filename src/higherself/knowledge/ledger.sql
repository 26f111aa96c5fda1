-- name: read_standing :one
-- How a tier stands: a row of NULLs and zeros if nothing is known. Served by the primary keys.
SELECT
    kept.configuration, kept.failures, kept.openings, kept.open_until, kept.changed_at,
    kept.last_error, kept.last_error_at,
    coalesce(used.requests, 0) AS requests, coalesce(used.failures, 0) AS failed_requests,
    coalesce(used.texts, 0) AS texts, coalesce(used.tokens, 0) AS tokens, used.latency
FROM (SELECT %(tier)s::text AS tier) AS wanted
LEFT JOIN embedding_provider AS kept ON kept.tier = wanted.tier
LEFT JOIN embedding_usage AS used ON used.tier = wanted.tier AND used.day = %(day)s;

-- name: keep_circuit :none
-- The newer of two circuits is kept, whichever process writes last; one of another configuration
-- makes way.
INSERT INTO embedding_provider AS kept (
    tier, configuration, failures, openings, open_until, changed_at, last_error, last_error_at
) VALUES (
    %(tier)s, %(configuration)s, %(failures)s, %(openings)s, %(open_until)s, %(changed_at)s,
    %(last_error)s, %(last_error_at)s
)
ON CONFLICT (tier) DO UPDATE SET
    configuration = excluded.configuration, failures = excluded.failures,
    openings = excluded.openings, open_until = excluded.open_until,
    changed_at = excluded.changed_at, last_error = excluded.last_error,
    last_error_at = excluded.last_error_at
WHERE kept.changed_at < excluded.changed_at OR kept.configuration <> excluded.configuration;

-- name: add_usage :none
INSERT INTO embedding_usage AS used (tier, day, requests, failures, texts, tokens, latency)
VALUES (
    %(tier)s, %(day)s, %(requests)s, %(failed_requests)s, %(texts)s, %(tokens)s, %(latency)s
)
ON CONFLICT (tier, day) DO UPDATE SET
    requests = used.requests + excluded.requests, failures = used.failures + excluded.failures,
    texts = used.texts + excluded.texts, tokens = used.tokens + excluded.tokens,
    latency = coalesce(excluded.latency, used.latency);
