-- Results that processes share, claims on making them, and what is counted of skills.

-- name: find_result :maybe
-- Served by the primary key.
SELECT result
FROM skill_result
WHERE entity = %(entity)s AND result_key = %(key)s AND expires_at > clock_timestamp();

-- name: claim_result :none
-- Whoever touches a row leads: nobody else does, or whoever did died.
INSERT INTO skill_claim (entity, result_key, skill, holder, leased_until)
VALUES (%(entity)s, %(key)s, %(skill)s, %(holder)s, clock_timestamp() + %(lease)s)
ON CONFLICT ON CONSTRAINT skill_claim_key DO UPDATE
SET holder = excluded.holder, leased_until = excluded.leased_until
WHERE skill_claim.leased_until <= clock_timestamp();

-- name: renew_claim :none
UPDATE skill_claim
SET leased_until = clock_timestamp() + %(lease)s
WHERE entity = %(entity)s AND result_key = %(key)s AND holder = %(holder)s;

-- name: drop_claim :none
DELETE FROM skill_claim
WHERE entity = %(entity)s AND result_key = %(key)s AND holder = %(holder)s;

-- name: keep_result :none
INSERT INTO skill_result (entity, result_key, skill, version, result, made_at, expires_at)
VALUES (
    %(entity)s, %(key)s, %(skill)s, %(version)s, %(result)s,
    clock_timestamp(), clock_timestamp() + %(lifetime)s
)
ON CONFLICT ON CONSTRAINT skill_result_key DO UPDATE
SET result = excluded.result, made_at = excluded.made_at, expires_at = excluded.expires_at;

-- name: clear_results :none
DELETE FROM skill_result
WHERE (%(skill)s::text IS NULL OR skill = %(skill)s) AND (%(entity)s::text IS NULL OR entity = %(entity)s);

-- name: clear_claims :none
-- What is being made now was asked for before: it is not kept.
DELETE FROM skill_claim
WHERE (%(skill)s::text IS NULL OR skill = %(skill)s) AND (%(entity)s::text IS NULL OR entity = %(entity)s);

-- name: order_clearing :none
-- Of a business that nobody has heard of, nothing is kept.
INSERT INTO skill_clearing (entity, skill, at)
SELECT %(entity)s::text, %(skill)s, clock_timestamp()
WHERE %(entity)s::text IS NULL OR EXISTS (SELECT FROM entity WHERE slug = %(entity)s);

-- name: clearings_since :many
SELECT clearing_id, skill, entity FROM skill_clearing WHERE clearing_id > %(since)s ORDER BY clearing_id;

-- name: kept_results :many
SELECT
    skill, version, entity, count(*) AS results,
    sum(octet_length(result))::bigint AS bytes, max(expires_at) AS expires_at
FROM skill_result
WHERE
    expires_at > clock_timestamp()
    AND (%(skill)s::text IS NULL OR skill = %(skill)s) AND (%(entity)s::text IS NULL OR entity = %(entity)s)
GROUP BY skill, version, entity
ORDER BY skill, version, entity;

-- name: drop_expired_results :none
DELETE FROM skill_result
WHERE (entity, result_key) IN (
    SELECT entity, result_key FROM skill_result
    WHERE expires_at <= clock_timestamp()
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
);

-- name: drop_lapsed_claims :none
DELETE FROM skill_claim WHERE leased_until < clock_timestamp() - interval '1 hour';

-- name: drop_old_clearings :none
DELETE FROM skill_clearing WHERE at < clock_timestamp() - interval '1 day';

-- name: count_runs :none
INSERT INTO skill_tally (skill, version, day, runs, hits, failures, seconds)
VALUES (
    %(skill)s, %(version)s, (clock_timestamp() AT TIME ZONE 'UTC')::date,
    %(runs)s, %(hits)s, %(failures)s, %(seconds)s
)
ON CONFLICT ON CONSTRAINT skill_tally_key DO UPDATE
SET
    runs = skill_tally.runs + excluded.runs,
    hits = skill_tally.hits + excluded.hits,
    failures = skill_tally.failures + excluded.failures,
    seconds = skill_tally.seconds + excluded.seconds;

-- name: counted_runs :many
SELECT
    skill, version, sum(runs)::bigint AS runs, sum(hits)::bigint AS hits,
    sum(failures)::bigint AS failures, sum(seconds) AS seconds
FROM skill_tally
WHERE
    day > (clock_timestamp() AT TIME ZONE 'UTC')::date - %(days)s::int
    AND (%(skill)s::text IS NULL OR skill = %(skill)s)
GROUP BY skill, version;

-- name: drop_old_tallies :none
DELETE FROM skill_tally WHERE day < (clock_timestamp() AT TIME ZONE 'UTC')::date - 90;
