-- 07_bus: who wants to be told of which events, and how messages from elsewhere prove who sent them.
-- An event is a message on the topic `event`. It is a record: as it is stored, each group whose
-- pattern fits its type gets a copy on a topic of its own. That is done here, where messages are
-- stored, so it holds whatever way one came.
-- Locks: message, briefly (a column without a value; two triggers; the index is built while nothing
-- is written, on the few messages that there are). With the previous release: it knows none of this.

-- The groups that an event was copied to. NULL: it is no event.
ALTER TABLE message ADD COLUMN told text[];

-- What a message has caused. (What began a conversation is in no such index.)
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX message_caused ON message (causation_id) WHERE causation_id IS NOT NULL;

CREATE TABLE message_subscription (
    group_name text NOT NULL,
    pattern text NOT NULL,
    -- The pattern as a regular expression (messaging/patterns.py).
    expression text NOT NULL,
    -- NULL: the group is told of the events of all businesses. (Not named entity, since the row says
    -- nothing of a business: that name is kept for what only the business may see.)
    only_entity text CONSTRAINT message_subscription_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    -- What the group handles, as it said itself: for the description of the bus alone.
    described text NOT NULL DEFAULT '',
    since timestamptz NOT NULL
);
CREATE UNIQUE INDEX message_subscription_once ON message_subscription (group_name, pattern, coalesce(only_entity, ''));
ALTER TABLE message_subscription ENABLE ROW LEVEL SECURITY;
ALTER TABLE message_subscription FORCE ROW LEVEL SECURITY;
-- Whoever stores an event of a business has to see who wants all events: that is nobody's secret.
CREATE POLICY entity_scope ON message_subscription USING (
    only_entity IS NULL
    OR only_entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
) WITH CHECK (
    only_entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Secrets of this installation: what is signed with one was sent by a process that reads this table.
CREATE TABLE message_key (
    key_name text PRIMARY KEY,
    secret bytea NOT NULL,
    since timestamptz NOT NULL
);
ALTER TABLE message_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE message_key FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON message_key USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Before: who is told. After, which is only if the event was not there yet: their copies. What is
-- decided before stands in the row, so the two never differ.
CREATE FUNCTION message_event_is_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT coalesce(array_agg(DISTINCT fits.group_name ORDER BY fits.group_name), '{}') INTO NEW.told
    FROM message_subscription AS fits
    WHERE NEW.type ~ fits.expression AND (fits.only_entity IS NULL OR fits.only_entity = NEW.entity);
    NEW.status := 'delivered';
    NEW.reason := 'told to ' || cardinality(NEW.told)
        || CASE cardinality(NEW.told) WHEN 1 THEN ' group' ELSE ' groups' END;
    NEW.finished_at := statement_timestamp();
    NEW.lane := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER message_event_is_told BEFORE INSERT ON message
    FOR EACH ROW WHEN (NEW.topic = 'event') EXECUTE FUNCTION message_event_is_told();

-- The identifier of a copy is made of the event's and the group's name, so it is the same on all ways
-- (messaging/patterns.py makes it, too).
CREATE FUNCTION message_event_is_copied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO message (
        message_id, entity, topic, source, type, subject, time, partition_key, correlation_id,
        causation_id, expires_at, hop_count, extensions, data, lane, priority, status, due_at
    )
    SELECT
        overlay(overlay(md5(NEW.message_id::text || '/' || told.name) PLACING '8' FROM 13) PLACING '8' FROM 17)::uuid,
        NEW.entity, 'group.' || told.name, NEW.source, NEW.type, NEW.subject, NEW.time,
        NEW.partition_key, NEW.correlation_id, NEW.message_id::text, NEW.expires_at, NEW.hop_count,
        NEW.extensions, NEW.data, coalesce(NEW.entity, '') || '/' || NEW.partition_key, NEW.priority,
        'ready', NEW.due_at
    FROM unnest(NEW.told) AS told (name)
    ON CONFLICT (message_id) DO NOTHING;
    PERFORM pg_notify('message.group.' || told.name, '') FROM unnest(NEW.told) AS told (name);
    RETURN NULL;
END $$;
CREATE TRIGGER message_event_is_copied AFTER INSERT ON message
    FOR EACH ROW WHEN (NEW.topic = 'event') EXECUTE FUNCTION message_event_is_copied();
