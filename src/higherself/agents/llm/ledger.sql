-- name: lock_day :none
-- Hold the day of a business until the transaction ends. Served by the primary key.
INSERT INTO language_model_day AS held (entity, day) VALUES (%(entity)s, %(day)s)
ON CONFLICT (entity, day) DO UPDATE SET day = excluded.day;

-- name: spent_on_day :one
-- What a business has spent on a day, and what is set aside besides; after `lock_day`, nobody adds
-- to it meanwhile. Served by the primary key and language_model_reservation_by_day.
SELECT
    (used.tokens + aside.tokens)::bigint AS tokens,
    (used.micro_usd + aside.micro_usd)::bigint AS micro_usd
FROM (
    SELECT
        coalesce(sum(input_tokens + output_tokens), 0) AS tokens,
        coalesce(sum(micro_usd), 0) AS micro_usd
    FROM language_model_usage WHERE entity = %(entity)s AND day = %(day)s
) AS used, (
    SELECT coalesce(sum(tokens), 0) AS tokens, coalesce(sum(micro_usd), 0) AS micro_usd
    FROM language_model_reservation WHERE entity = %(entity)s AND day = %(day)s
) AS aside;

-- name: set_aside :none
INSERT INTO language_model_reservation (reservation_id, entity, day, model, tokens, micro_usd)
VALUES (%(reservation)s, %(entity)s, %(day)s, %(model)s, %(tokens)s, %(micro_usd)s);

-- name: release :none
-- Nothing happens if it was settled before, or the business is forgotten.
DELETE FROM language_model_reservation WHERE reservation_id = %(reservation)s;

-- name: count_usage :none
INSERT INTO language_model_usage AS used (
    entity, day, model, requests, failures, input_tokens, output_tokens, cached_tokens,
    written_tokens, micro_usd
) VALUES (
    %(entity)s, %(day)s, %(model)s, %(requests)s, %(failures)s, %(input_tokens)s,
    %(output_tokens)s, %(cached_tokens)s, %(written_tokens)s, %(micro_usd)s
)
ON CONFLICT (entity, day, model) DO UPDATE SET
    requests = used.requests + excluded.requests,
    failures = used.failures + excluded.failures,
    input_tokens = used.input_tokens + excluded.input_tokens,
    output_tokens = used.output_tokens + excluded.output_tokens,
    cached_tokens = used.cached_tokens + excluded.cached_tokens,
    written_tokens = used.written_tokens + excluded.written_tokens,
    micro_usd = used.micro_usd + excluded.micro_usd;

-- name: drop_old_days :none
-- Forget what was set aside and never settled, and the locks, of days long past.
WITH locks AS (
    DELETE FROM language_model_day WHERE entity = %(entity)s AND day < %(day)s
)
DELETE FROM language_model_reservation WHERE entity = %(entity)s AND day < %(day)s;

-- name: spending :many
-- What was spent on a day, by business and model; with %(entity)s, of that business alone.
SELECT
    coalesce(used.entity, aside.entity) AS entity, coalesce(used.model, aside.model) AS model,
    coalesce(used.requests, 0) AS requests, coalesce(used.failures, 0) AS failures,
    coalesce(used.input_tokens, 0) AS input_tokens,
    coalesce(used.output_tokens, 0) AS output_tokens,
    coalesce(used.cached_tokens, 0) AS cached_tokens,
    coalesce(used.written_tokens, 0) AS written_tokens,
    coalesce(used.micro_usd, 0) AS micro_usd,
    coalesce(aside.tokens, 0) AS reserved_tokens,
    coalesce(aside.micro_usd, 0) AS reserved_micro_usd
FROM (
    SELECT * FROM language_model_usage
    WHERE day = %(day)s AND (%(entity)s::text IS NULL OR entity = %(entity)s)
) AS used
FULL JOIN (
    SELECT entity, model, sum(tokens)::bigint AS tokens, sum(micro_usd)::bigint AS micro_usd
    FROM language_model_reservation
    WHERE day = %(day)s AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    GROUP BY entity, model
) AS aside ON aside.entity = used.entity AND aside.model = used.model
ORDER BY 1, 2;
