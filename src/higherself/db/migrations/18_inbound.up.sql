-- 18_inbound: what other systems have announced here, and what is known of what it was about.
-- A delivery is stored before it is answered, once for the name that its source gave it (or for its
-- content, if the source names none); what it means is worked out afterwards. Its headers and body are
-- as they came, but for secrets, and are emptied after a while; the row stays, so that it still counts
-- once.
-- Locks: entity, briefly, for the foreign keys. With the previous release: it knows none of this.

CREATE TABLE webhook_delivery (
    delivery_id uuid PRIMARY KEY,
    -- NULL: it is not known yet whose it is, and only the operator's scope sees it.
    entity text CONSTRAINT webhook_delivery_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    source text NOT NULL,
    -- What makes it one: the source's own name for it, or a hash of the body.
    key text NOT NULL,
    name text,
    event text NOT NULL,
    -- The end of the address, where that says what happened.
    hint text,
    subject text,
    occurred_at timestamptz,
    received_at timestamptz NOT NULL,
    verified_at timestamptz NOT NULL,
    body_hash bytea NOT NULL,
    headers json,
    body bytea,
    status text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    -- What was decided to be announced, before it is: so that it is the same on every attempt.
    decided json,
    outcome json,
    finished_at timestamptz,
    CONSTRAINT webhook_delivery_once UNIQUE (source, key),
    CONSTRAINT webhook_delivery_status_is_known CHECK (
        status IN ('received', 'done', 'failed', 'ignored')
    ),
    CONSTRAINT webhook_delivery_end_has_its_time CHECK (
        (status = 'received') = (finished_at IS NULL)
    ),
    CONSTRAINT webhook_delivery_is_whole CHECK ((headers IS NULL) = (body IS NULL)),
    CONSTRAINT webhook_delivery_counts_up CHECK (attempts >= 0)
);
CREATE INDEX webhook_delivery_by_age ON webhook_delivery (received_at);
CREATE INDEX webhook_delivery_of_source ON webhook_delivery (source, received_at);
CREATE INDEX webhook_delivery_by_content ON webhook_delivery (source, body_hash, received_at);
CREATE INDEX webhook_delivery_of_business ON webhook_delivery (entity, received_at);
CREATE INDEX webhook_delivery_failed ON webhook_delivery (source) WHERE status = 'failed';
CREATE INDEX webhook_delivery_full ON webhook_delivery (received_at) WHERE body IS NOT NULL;

-- What is known of a booking, an order, a payment: see inbound/ordering.py.
CREATE TABLE webhook_subject (
    entity text NOT NULL CONSTRAINT webhook_subject_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    source text NOT NULL,
    subject text NOT NULL,
    standing json NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT webhook_subject_key PRIMARY KEY (entity, source, subject)
);
CREATE INDEX webhook_subject_by_age ON webhook_subject (updated_at);

-- What came last of each source, and what was refused.
CREATE TABLE webhook_source (
    source text PRIMARY KEY,
    refused bigint NOT NULL DEFAULT 0,
    refused_at timestamptz,
    reason text NOT NULL DEFAULT '',
    CONSTRAINT webhook_source_counts_up CHECK (refused >= 0)
);

ALTER TABLE webhook_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_delivery FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON webhook_delivery USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE webhook_subject ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_subject FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON webhook_subject USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE webhook_source ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_source FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON webhook_source USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);
