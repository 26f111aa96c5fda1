-- 11_language_model: what businesses spend on language models.
-- A request sets aside what it may cost before it leaves, and is settled when its answer is there.
-- What is never settled, because a process died meanwhile, counts as spent: it may have been.
-- Locks: entity, briefly, for the foreign keys. With the previous release: it knows none of this.

-- One row for each business and day (in UTC): whoever sets something aside locks it first, so that no
-- two requests get the same money.
CREATE TABLE language_model_day (
    entity text NOT NULL CONSTRAINT language_model_day_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    day date NOT NULL,
    CONSTRAINT language_model_day_key PRIMARY KEY (entity, day)
);

CREATE TABLE language_model_usage (
    entity text NOT NULL CONSTRAINT language_model_usage_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    day date NOT NULL,
    model text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    written_tokens bigint NOT NULL,
    micro_usd bigint NOT NULL,
    CONSTRAINT language_model_usage_key PRIMARY KEY (entity, day, model),
    CONSTRAINT language_model_usage_counts_up CHECK (
        requests >= 0 AND failures >= 0 AND input_tokens >= 0 AND output_tokens >= 0
        AND cached_tokens >= 0 AND written_tokens >= 0 AND micro_usd >= 0
    )
);
CREATE INDEX language_model_usage_by_day ON language_model_usage (day);

CREATE TABLE language_model_reservation (
    reservation_id uuid PRIMARY KEY,
    entity text NOT NULL CONSTRAINT language_model_reservation_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    day date NOT NULL,
    model text NOT NULL,
    tokens bigint NOT NULL,
    micro_usd bigint NOT NULL,
    CONSTRAINT language_model_reservation_counts_up CHECK (tokens >= 0 AND micro_usd >= 0)
);
CREATE INDEX language_model_reservation_by_day ON language_model_reservation (entity, day);

ALTER TABLE language_model_day ENABLE ROW LEVEL SECURITY;
ALTER TABLE language_model_day FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON language_model_day USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE language_model_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE language_model_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON language_model_usage USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE language_model_reservation ENABLE ROW LEVEL SECURITY;
ALTER TABLE language_model_reservation FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON language_model_reservation USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
