-- 19_outbound: what is sent to people and systems, and who does not want it. A delivery is a row before
-- anything leaves, so that whoever goes on after a kill knows how far it is: `handed_over` is set just
-- before the moment from which it may have arrived.
-- Locks: entity, briefly, for the foreign keys. With the previous release: it knows none of this.

CREATE TABLE delivery (
    delivery_id uuid CONSTRAINT delivery_key PRIMARY KEY,
    entity text NOT NULL CONSTRAINT delivery_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    -- As whoever has it sent names it: it is sent once.
    key text NOT NULL,
    channel text NOT NULL,
    recipients text [] NOT NULL,
    sender text NOT NULL,
    about text NOT NULL,
    purpose text NOT NULL,
    -- What it is known by outside, such as its Message-ID.
    name text NOT NULL,
    headers json NOT NULL,
    content bytea NOT NULL,
    status text NOT NULL,
    reason text NOT NULL DEFAULT '',
    attempts int NOT NULL DEFAULT 0,
    handed_over boolean NOT NULL DEFAULT false,
    due_at timestamptz,
    leased_until timestamptz,
    answer text NOT NULL DEFAULT '',
    -- By which somebody who got it asks for no more of the kind.
    unsubscribe text,
    correlation_id text,
    instance_id uuid,
    agent text,
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    CONSTRAINT delivery_once UNIQUE (entity, key),
    CONSTRAINT delivery_channel_is_known CHECK (channel IN ('email', 'slack', 'webhook', 'sms', 'file')),
    CONSTRAINT delivery_purpose_is_known CHECK (purpose IN ('transactional', 'marketing')),
    CONSTRAINT delivery_status_is_known CHECK (
        status IN ('queued', 'sending', 'sent', 'held', 'dropped', 'failed', 'uncertain')
    ),
    CONSTRAINT delivery_queued_is_due CHECK ((status = 'queued') = (due_at IS NOT NULL)),
    CONSTRAINT delivery_sending_is_leased CHECK ((status = 'sending') = (leased_until IS NOT NULL)),
    CONSTRAINT delivery_sent_has_its_time CHECK ((status = 'sent') = (sent_at IS NOT NULL))
);
CREATE INDEX delivery_by_due ON delivery (due_at) WHERE status = 'queued';
CREATE INDEX delivery_by_lease ON delivery (leased_until) WHERE status = 'sending';
CREATE INDEX delivery_by_time ON delivery (created_at DESC, delivery_id DESC);
CREATE INDEX delivery_by_correlation ON delivery (correlation_id) WHERE correlation_id IS NOT NULL;
CREATE UNIQUE INDEX delivery_by_unsubscribe ON delivery (unsubscribe) WHERE unsubscribe IS NOT NULL;

-- Who has asked for less, beside those whose contact says so.
CREATE TABLE suppression (
    entity text NOT NULL CONSTRAINT suppression_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    -- In small letters.
    address text NOT NULL,
    wish text NOT NULL,
    origin text NOT NULL,
    since timestamptz NOT NULL,
    CONSTRAINT suppression_key PRIMARY KEY (entity, address),
    CONSTRAINT suppression_wish_is_known CHECK (wish IN ('nothing', 'no_marketing'))
);

ALTER TABLE delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE delivery FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON delivery USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
ALTER TABLE suppression ENABLE ROW LEVEL SECURITY;
ALTER TABLE suppression FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON suppression USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
