-- 08_agents: which agents there are and who runs them, what each keeps in mind, who has which
-- conversation, what a person is asked to do, and why work went where it went.
-- An agent's inbox is the topic agent.NAME of the messages; nothing here is needed to deliver one.
-- Locks: entity and document, briefly, for the foreign keys. With the previous release: it knows none of this.

-- Agents belong to the installation, not to a business; a card says which businesses one serves.
CREATE TABLE agent (
    agent text PRIMARY KEY,
    card json NOT NULL,
    -- When a worker that runs it was last heard of.
    seen_at timestamptz NOT NULL,
    CONSTRAINT agent_name_is_plain CHECK (agent ~ '^[a-z][a-z0-9_-]{0,41}$')
);
ALTER TABLE agent ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON agent USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Who runs it now. A row of which nothing was heard for a while counts as if it were not there.
CREATE TABLE agent_presence (
    worker text NOT NULL,
    agent text NOT NULL CONSTRAINT agent_presence_of_agent REFERENCES agent (agent) ON DELETE CASCADE,
    phase text NOT NULL,
    -- Why it does not run there, if it does not.
    problem text,
    running integer NOT NULL,
    concurrency integer NOT NULL,
    since timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT agent_presence_key PRIMARY KEY (agent, worker),
    CONSTRAINT agent_presence_phase_is_known CHECK (phase IN ('starting', 'ready', 'draining', 'stopped'))
) WITH (fillfactor = 50);  -- every heartbeat changes each row, and no index
ALTER TABLE agent_presence ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_presence FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON agent_presence USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- How its tasks ended, counted by the minute in which they did.
CREATE TABLE agent_tally (
    agent text NOT NULL CONSTRAINT agent_tally_of_agent REFERENCES agent (agent) ON DELETE CASCADE,
    minute timestamptz NOT NULL,
    done integer NOT NULL,
    failed integer NOT NULL,
    seconds double precision NOT NULL,
    CONSTRAINT agent_tally_key PRIMARY KEY (agent, minute)
) WITH (fillfactor = 50);
CREATE INDEX agent_tally_by_age ON agent_tally (minute);
ALTER TABLE agent_tally ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_tally FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON agent_tally USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- What an agent keeps in mind about a subject. `version` is the fence: who writes names the one he read.
CREATE TABLE agent_state (
    agent text NOT NULL,
    -- NULL: it is about what belongs to no business.
    entity text CONSTRAINT agent_state_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    subject text NOT NULL,
    value json NOT NULL,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX agent_state_once ON agent_state (agent, coalesce(entity, ''), subject);
CREATE INDEX agent_state_by_entity ON agent_state (entity);
ALTER TABLE agent_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_state FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON agent_state USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Who a conversation was handed to, and by whom; the last one has it. Never changed, so who had it
-- before is known. (Conversations that nobody handed on are not here.)
CREATE TABLE agent_handoff (
    entity text CONSTRAINT agent_handoff_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    correlation_id text NOT NULL,
    sequence integer NOT NULL,
    from_agent text NOT NULL,
    to_agent text NOT NULL,
    reason text NOT NULL,
    message_id uuid NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT agent_handoff_counts_up CHECK (sequence >= 1)
);
CREATE UNIQUE INDEX agent_handoff_once ON agent_handoff (correlation_id, coalesce(entity, ''), sequence);
CREATE INDEX agent_handoff_by_entity ON agent_handoff (entity);
CREATE INDEX agent_handoff_by_agent ON agent_handoff (from_agent);
CREATE INDEX agent_handoff_by_age ON agent_handoff (at);
ALTER TABLE agent_handoff ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_handoff FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON agent_handoff USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- What an agent asks a person to see to.
CREATE TABLE agent_escalation (
    ticket text PRIMARY KEY,
    entity text CONSTRAINT agent_escalation_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    agent text NOT NULL,
    -- What it is about: the message that the agent was handling, whole, so that the answer can go on from it.
    message_id uuid NOT NULL,
    correlation_id text NOT NULL,
    cause json NOT NULL,
    -- The same key escalates once.
    key text NOT NULL,
    severity smallint NOT NULL,
    reason text NOT NULL,
    attempts json NOT NULL,
    details json NOT NULL,
    status text NOT NULL,
    assignee text,
    -- What was answered, by whom, and where it went.
    answer json,
    answered_by text,
    answered_to text,
    due_at timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT agent_escalation_status_is_known CHECK (status IN ('open', 'in_progress', 'resolved', 'closed')),
    CONSTRAINT agent_escalation_severity_is_known CHECK (severity BETWEEN 1 AND 4),
    CONSTRAINT agent_escalation_ticket_is_plain CHECK (ticket ~ '^ESC-[A-Z0-9]{8}$'),
    CONSTRAINT agent_escalation_end_has_its_time CHECK ((status IN ('resolved', 'closed')) = (closed_at IS NOT NULL))
);
CREATE UNIQUE INDEX agent_escalation_once ON agent_escalation (key);
CREATE INDEX agent_escalation_by_status ON agent_escalation (status, opened_at);
CREATE INDEX agent_escalation_by_entity ON agent_escalation (entity);
ALTER TABLE agent_escalation ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_escalation FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON agent_escalation USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Where work went, and why: kept for a while.
CREATE TABLE agent_routing (
    routing_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity text CONSTRAINT agent_routing_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    -- What was asked for: a name, a role, a capability or a type of messages.
    wanted text NOT NULL,
    type text,
    agent text,
    way text NOT NULL,
    reason text NOT NULL,
    -- Candidates with their scores, and the ways that led nowhere.
    considered json NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX agent_routing_by_age ON agent_routing (at);
CREATE INDEX agent_routing_by_entity ON agent_routing (entity);
ALTER TABLE agent_routing ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_routing FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON agent_routing USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- What an agent used of the business's knowledge in handling a message. It goes with the document.
CREATE TABLE agent_citation (
    message_id uuid NOT NULL,
    number integer NOT NULL,
    entity text NOT NULL CONSTRAINT agent_citation_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    agent text NOT NULL,
    document_id uuid NOT NULL CONSTRAINT agent_citation_of_document
        REFERENCES document (document_id) ON DELETE CASCADE,
    chunk_id bigint NOT NULL,
    quote text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT agent_citation_key PRIMARY KEY (message_id, number)
);
CREATE INDEX agent_citation_by_document ON agent_citation (document_id);
CREATE INDEX agent_citation_by_entity ON agent_citation (entity);
CREATE INDEX agent_citation_by_age ON agent_citation (at);
ALTER TABLE agent_citation ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_citation FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON agent_citation USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
