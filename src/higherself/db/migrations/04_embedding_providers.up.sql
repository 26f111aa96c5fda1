-- 04_embedding_providers: what is remembered of the embedding tiers that are not on this machine.
-- So a process that has just begun leaves a provider that fails alone, as the one before it did,
-- and the tokens of a day are counted across processes. The rows belong to no business.
-- Locks: nothing that exists. With the previous release: it knows none of this.

CREATE TABLE embedding_provider (
    tier text PRIMARY KEY,
    -- A hash of address, key and model: what was learned with another one does not count.
    configuration bytea NOT NULL,
    -- Failures in a row, and how often the circuit opened since the last success.
    failures integer NOT NULL,
    openings integer NOT NULL,
    -- NULL: the circuit is closed.
    open_until timestamptz,
    changed_at timestamptz NOT NULL,
    last_error text,
    last_error_at timestamptz,
    CONSTRAINT embedding_provider_counts_up CHECK (failures >= 0 AND openings >= 0),
    CONSTRAINT embedding_provider_error_has_its_time
        CHECK ((last_error IS NULL) = (last_error_at IS NULL))
);

CREATE TABLE embedding_usage (
    tier text NOT NULL,
    -- In UTC.
    day date NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    texts bigint NOT NULL,
    tokens bigint NOT NULL,
    -- Of a request, lately.
    latency interval,
    CONSTRAINT embedding_usage_of_day PRIMARY KEY (tier, day),
    CONSTRAINT embedding_usage_counts_up
        CHECK (requests >= 0 AND failures >= 0 AND texts >= 0 AND tokens >= 0)
);
