-- 09_skills: results of skills that all processes share, who makes which now, and what is counted of runs.
-- Locks: entity, briefly, for the foreign keys. With the previous release: it knows none of this.

-- What a skill made of an input; result_key is a hash of skill, version, code, business and input.
-- It is deleted some time after it expired: whoever reads compares expires_at.
CREATE TABLE skill_result (
    entity text NOT NULL CONSTRAINT skill_result_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    result_key bytea NOT NULL,
    skill text NOT NULL,
    version text NOT NULL,
    result text NOT NULL,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT skill_result_key PRIMARY KEY (entity, result_key)
);
CREATE INDEX skill_result_by_skill ON skill_result (skill, version);
CREATE INDEX skill_result_by_age ON skill_result (expires_at);

-- Who makes a result now. Its holder renews the lease; who died holds it no longer than that.
CREATE TABLE skill_claim (
    entity text NOT NULL CONSTRAINT skill_claim_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    result_key bytea NOT NULL,
    skill text NOT NULL,
    holder uuid NOT NULL,
    leased_until timestamptz NOT NULL,
    CONSTRAINT skill_claim_key PRIMARY KEY (entity, result_key)
);
CREATE INDEX skill_claim_by_age ON skill_claim (leased_until);

-- Orders to forget results, for those that processes have in memory. Deleted when every process has read them.
CREATE TABLE skill_clearing (
    clearing_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- NULL: of every business.
    entity text CONSTRAINT skill_clearing_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    -- NULL: of every skill.
    skill text,
    at timestamptz NOT NULL
);
CREATE INDEX skill_clearing_by_entity ON skill_clearing (entity);
CREATE INDEX skill_clearing_by_age ON skill_clearing (at);

-- How often skills were asked for and what came of it, by day (in UTC), of all businesses together.
CREATE TABLE skill_tally (
    skill text NOT NULL,
    version text NOT NULL,
    day date NOT NULL,
    runs bigint NOT NULL,
    hits bigint NOT NULL,
    failures bigint NOT NULL,
    seconds double precision NOT NULL,
    CONSTRAINT skill_tally_key PRIMARY KEY (skill, version, day)
) WITH (fillfactor = 70);  -- the rows of today change often, and no index with them
CREATE INDEX skill_tally_by_age ON skill_tally (day);

ALTER TABLE skill_result ENABLE ROW LEVEL SECURITY;
ALTER TABLE skill_result FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON skill_result USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE skill_claim ENABLE ROW LEVEL SECURITY;
ALTER TABLE skill_claim FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON skill_claim USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE skill_clearing ENABLE ROW LEVEL SECURITY;
ALTER TABLE skill_clearing FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON skill_clearing USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE skill_tally ENABLE ROW LEVEL SECURITY;
ALTER TABLE skill_tally FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON skill_tally USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);
