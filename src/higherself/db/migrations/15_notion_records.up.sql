-- 15_notion_records: where the declared databases are in Notion, the rows that people see there, and
-- how far both sides agree. The tables of rows are those of business/notion_databases.yaml: a column
-- for each property, a relation as the identifiers of the rows that it names. A row that its business
-- has in Notion too has a row in notion_record; a change here is queued in notion_push by a trigger,
-- so whoever writes to a table need not know of Notion.
-- Locks: entity, briefly, for the foreign keys. With the previous release: it knows none of this.

CREATE TABLE notion_database (
    name text PRIMARY KEY,
    database_id text NOT NULL,
    data_source_id text NOT NULL,
    -- The page under which it was made.
    parent_id text,
    -- Which property is which: {declared name: {id, name, type, options, state}}.
    mapping json NOT NULL,
    -- {id: name} of its views.
    views json NOT NULL,
    -- What is not as declared: [[kind, property, what about it]].
    drift json NOT NULL,
    adopted boolean NOT NULL,
    state text NOT NULL,
    reason text,
    -- Counts what set-up has written to it: names each write once.
    revision integer NOT NULL,
    checked_at timestamptz NOT NULL,
    CONSTRAINT notion_database_state_is_known CHECK (state IN ('ok', 'missing', 'held'))
);
CREATE UNIQUE INDEX notion_database_source ON notion_database (data_source_id);
ALTER TABLE notion_database ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_database FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_database USING (
    (SELECT current_setting('higherself.entity', true)) = '*'
);

-- A row and its page. `base` is what both sides agreed on last, by column, as JSON; relations are in
-- it as rows. `conflict` keeps every value that lost, and those that wait for a person.
CREATE TABLE notion_record (
    database text NOT NULL,
    record_id uuid NOT NULL,
    entity text NOT NULL CONSTRAINT notion_record_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    page_id text,
    base jsonb NOT NULL DEFAULT '{}',
    row_hash bytea,
    page_hash bytea,
    conflict jsonb NOT NULL DEFAULT '[]',
    -- Relations of the page that name pages of which no row is known yet: {column: [page]}.
    deferred jsonb NOT NULL DEFAULT '{}',
    -- The page is to be told when it was synced last, and which row it is.
    stamp boolean NOT NULL DEFAULT false,
    -- What is sent to make its page, until that is known to be there.
    creating jsonb,
    state text NOT NULL DEFAULT 'ok',
    reason text,
    page_edited_at timestamptz,
    synced_at timestamptz NOT NULL,
    CONSTRAINT notion_record_key PRIMARY KEY (database, record_id),
    CONSTRAINT notion_record_state_is_known CHECK (state IN ('ok', 'gone', 'lost'))
);
CREATE UNIQUE INDEX notion_record_page ON notion_record (page_id);
CREATE INDEX notion_record_by_entity ON notion_record (entity);
CREATE INDEX notion_record_deferred ON notion_record (database) WHERE deferred <> '{}';
CREATE INDEX notion_record_open ON notion_record (database) WHERE conflict <> '[]';
ALTER TABLE notion_record ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_record FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_record USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Rows that have changed and may have to go to Notion. `changed` gives the instant by column.
CREATE TABLE notion_push (
    database text NOT NULL,
    record_id uuid NOT NULL,
    entity text NOT NULL CONSTRAINT notion_push_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    -- Counts changes: one that comes while the row is pushed is not overlooked.
    revision bigint NOT NULL,
    changed jsonb NOT NULL DEFAULT '{}',
    queued_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    -- It can go on when another page is there, or a property or an option is as declared again.
    waits boolean NOT NULL DEFAULT false,
    error text,
    CONSTRAINT notion_push_key PRIMARY KEY (database, record_id)
);
CREATE INDEX notion_push_due ON notion_push (due_at);
CREATE INDEX notion_push_by_entity ON notion_push (entity);
ALTER TABLE notion_push ENABLE ROW LEVEL SECURITY;
ALTER TABLE notion_push FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notion_push USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
CREATE SEQUENCE notion_push_revision;

-- A row that says nothing new about when it was changed was changed now.
CREATE FUNCTION notion_row_stamped() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.updated_at = OLD.updated_at THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;

-- A business that is being forgotten takes its queue along, so nothing is added to it then. The path
-- is set because a person at a prompt, who writes to a table by its full name, may have another.
CREATE FUNCTION notion_row_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    given jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    before jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}'::jsonb ELSE to_jsonb(OLD) END;
    columns jsonb;
BEGIN
    SELECT coalesce(jsonb_object_agg(key, given -> 'updated_at'), '{}') INTO columns
    FROM jsonb_each(given)
    WHERE TG_OP <> 'DELETE' AND value IS DISTINCT FROM before -> key
        AND key NOT IN ('record_id', 'created_at', 'updated_at');
    IF TG_OP = 'UPDATE' AND columns = '{}' THEN
        RETURN NULL;
    END IF;
    INSERT INTO notion_push AS queued (database, record_id, entity, revision, changed, queued_at, due_at)
    SELECT TG_TABLE_NAME, (given ->> 'record_id')::uuid, entity.slug,
        nextval('notion_push_revision'), columns, now(), now()
    FROM entity WHERE entity.slug = given ->> 'entity'
    ON CONFLICT (database, record_id) DO UPDATE SET
        entity = excluded.entity, revision = excluded.revision,
        changed = queued.changed || excluded.changed, due_at = excluded.due_at, attempts = 0, waits = false, error = NULL;
    RETURN NULL;
END
$$;

-- One row per business that uses the platform; carries secret references, not secrets; root of tenant isolation.
CREATE TABLE business_entities (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT business_entities_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    name text,
    entity_type text,
    api_keys_reference text,
    primary_workflows uuid[] NOT NULL DEFAULT '{}',
    active_agents uuid[] NOT NULL DEFAULT '{}',
    integration_status text,
    slug text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX business_entities_named ON business_entities (slug);
CREATE INDEX business_entities_by_entity ON business_entities (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON business_entities FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON business_entities
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE business_entities ENABLE ROW LEVEL SECURITY;
ALTER TABLE business_entities FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON business_entities USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Catalogue of agents, capabilities, health and performance.
CREATE TABLE agents (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT agents_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    agent_name text,
    agent_id text,
    description text,
    version text,
    status text,
    capabilities text[] NOT NULL DEFAULT '{}',
    primary_apis_utilized text[] NOT NULL DEFAULT '{}',
    business_entity_association uuid[] NOT NULL DEFAULT '{}',
    runtime_environment text,
    source_code_location text,
    last_execution timestamptz,
    execution_count double precision,
    success_rate double precision,
    communication_patterns uuid[] NOT NULL DEFAULT '{}',
    api_integrations uuid[] NOT NULL DEFAULT '{}',
    data_transformations uuid[] NOT NULL DEFAULT '{}',
    workflows uuid[] NOT NULL DEFAULT '{}',
    owner text[] NOT NULL DEFAULT '{}',
    documentation_url text,
    health_status text,
    fallback_providers text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX agents_by_entity ON agents (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON agents FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON agents
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE agents ENABLE ROW LEVEL SECURITY;
ALTER TABLE agents FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON agents USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- External platforms: auth method, secret reference, limits, status.
CREATE TABLE api_integrations (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT api_integrations_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    integration_name text,
    integration_id text,
    description text,
    api_platform text,
    status text,
    api_version text,
    auth_method text,
    api_key_reference text,
    base_url text,
    documentation_url text,
    business_entities uuid[] NOT NULL DEFAULT '{}',
    agents_using uuid[] NOT NULL DEFAULT '{}',
    rate_limits text,
    endpoints_used text,
    data_mapping uuid[] NOT NULL DEFAULT '{}',
    implementation_notes text,
    last_tested timestamptz,
    owner text[] NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    webhook_authentication_method text,
    rate_limiting_strategy text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX api_integrations_named ON api_integrations (integration_id);
CREATE INDEX api_integrations_by_entity ON api_integrations (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON api_integrations FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON api_integrations
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE api_integrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_integrations FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON api_integrations USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Workflow definitions (versioned) that instances are created from.
CREATE TABLE workflows_library (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT workflows_library_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    workflow_name text,
    workflow_id text,
    description text,
    status text,
    business_entities uuid[] NOT NULL DEFAULT '{}',
    trigger_type text,
    trigger_conditions text,
    workflow_steps text,
    required_integrations uuid[] NOT NULL DEFAULT '{}',
    related_use_cases uuid[] NOT NULL DEFAULT '{}',
    active_instances_count double precision,
    total_instances_count double precision,
    average_completion_time double precision,
    success_rate double precision,
    version text,
    created_date timestamptz,
    last_updated timestamptz,
    owner text[] NOT NULL DEFAULT '{}',
    required_agents uuid[] NOT NULL DEFAULT '{}',
    data_schema text,
    tags text[] NOT NULL DEFAULT '{}',
    documentation_url text,
    problems text,
    validation_model_path text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX workflows_library_named ON workflows_library (workflow_id);
CREATE INDEX workflows_library_by_entity ON workflows_library (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON workflows_library FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON workflows_library
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE workflows_library ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflows_library FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON workflows_library USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Every person known to any business: leads, clients, partners, vendors, staff.
CREATE TABLE contacts_profiles (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT contacts_profiles_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    full_name text,
    contact_id text,
    email text,
    phone text,
    contact_type text,
    business_entity uuid[] NOT NULL DEFAULT '{}',
    lead_source text,
    status text,
    tags text[] NOT NULL DEFAULT '{}',
    date_added timestamptz,
    last_interaction timestamptz,
    address text,
    city text,
    state_province text,
    country text,
    postal_code text,
    company text,
    job_title text,
    notes text,
    external_ids text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX contacts_profiles_named ON contacts_profiles (contact_id);
CREATE INDEX contacts_profiles_by_entity ON contacts_profiles (entity);
CREATE INDEX contacts_profiles_by_email ON contacts_profiles (lower(email));
CREATE TRIGGER stamped BEFORE UPDATE ON contacts_profiles FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON contacts_profiles
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE contacts_profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE contacts_profiles FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON contacts_profiles USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Catalogue of courses, retreats, consultations, art pieces, goods, memberships.
CREATE TABLE products_services (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT products_services_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    name text,
    product_id text,
    type text,
    description text,
    price double precision,
    status text,
    inventory_count double precision,
    business_entity uuid[] NOT NULL DEFAULT '{}',
    integration_system text,
    external_id text,
    images jsonb NOT NULL DEFAULT '[]',
    booking_link text,
    duration_minutes double precision,
    categories text[] NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX products_services_named ON products_services (product_id);
CREATE INDEX products_services_by_entity ON products_services (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON products_services FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON products_services
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE products_services ENABLE ROW LEVEL SECURITY;
ALTER TABLE products_services FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON products_services USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Named mappings between external payloads and domain records.
CREATE TABLE data_transformations (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT data_transformations_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    transformation_name text,
    transformation_id text,
    description text,
    source_format text,
    target_format text,
    transformation_logic text,
    sample_input text,
    sample_output text,
    source_system text,
    target_system text,
    status text,
    version text,
    business_entities uuid[] NOT NULL DEFAULT '{}',
    agents_using uuid[] NOT NULL DEFAULT '{}',
    related_api_integrations uuid[] NOT NULL DEFAULT '{}',
    created_date timestamptz,
    last_updated timestamptz,
    owner text[] NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX data_transformations_named ON data_transformations (transformation_id);
CREATE INDEX data_transformations_by_entity ON data_transformations (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON data_transformations FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON data_transformations
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE data_transformations ENABLE ROW LEVEL SECURITY;
ALTER TABLE data_transformations FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON data_transformations USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Allow-list of who may message whom, with schema, protocol, timeout.
CREATE TABLE agent_communication_patterns (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT agent_communication_patterns_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    pattern_name text,
    description text,
    source_agent uuid[] NOT NULL DEFAULT '{}',
    target_agent uuid[] NOT NULL DEFAULT '{}',
    message_format text,
    communication_protocol text,
    sample_payload text,
    active_workflows_using uuid[] NOT NULL DEFAULT '{}',
    version text,
    status text,
    created_date timestamptz,
    last_updated timestamptz,
    success_criteria text,
    error_handling text,
    timeout_settings double precision,
    required_permissions text[] NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    documentation_url text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX agent_communication_patterns_by_entity ON agent_communication_patterns (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON agent_communication_patterns FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON agent_communication_patterns
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE agent_communication_patterns ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_communication_patterns FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON agent_communication_patterns USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Business scenario to workflow traceability.
CREATE TABLE use_cases (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT use_cases_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    use_case_title text,
    use_case_id text,
    description text,
    business_value text,
    implementation_status text,
    business_entities uuid[] NOT NULL DEFAULT '{}',
    related_workflows uuid[] NOT NULL DEFAULT '{}',
    required_integrations uuid[] NOT NULL DEFAULT '{}',
    user_stories text,
    acceptance_criteria text,
    priority text,
    complexity text,
    estimated_effort text,
    stakeholders text[] NOT NULL DEFAULT '{}',
    created_date timestamptz,
    target_implementation_date date,
    actual_implementation_date date,
    tags text[] NOT NULL DEFAULT '{}',
    documentation_url text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX use_cases_named ON use_cases (use_case_id);
CREATE INDEX use_cases_by_entity ON use_cases (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON use_cases FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON use_cases
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE use_cases ENABLE ROW LEVEL SECURITY;
ALTER TABLE use_cases FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON use_cases USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Message templates per channel with {{placeholder}} fields.
CREATE TABLE notification_templates (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT notification_templates_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    template_name text,
    template_id text,
    description text,
    channel text,
    content_template text,
    subject_template text,
    supported_placeholders text,
    business_entities uuid[] NOT NULL DEFAULT '{}',
    trigger_event text,
    status text,
    version text,
    created_by text[] NOT NULL DEFAULT '{}',
    created_date timestamptz,
    last_updated timestamptz,
    last_sent timestamptz,
    send_count double precision,
    related_workflows uuid[] NOT NULL DEFAULT '{}',
    sample_rendered_output text,
    tags text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX notification_templates_named ON notification_templates (template_id);
CREATE INDEX notification_templates_by_entity ON notification_templates (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON notification_templates FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON notification_templates
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE notification_templates ENABLE ROW LEVEL SECURITY;
ALTER TABLE notification_templates FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON notification_templates USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Every actionable item, human or agent.
CREATE TABLE tasks (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT tasks_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    task_name text,
    task_id text,
    status text,
    description text,
    priority text,
    due_date timestamptz,
    assigned_to text[] NOT NULL DEFAULT '{}',
    related_workflow_instance uuid[] NOT NULL DEFAULT '{}',
    related_business_entity uuid[] NOT NULL DEFAULT '{}',
    created_by text,
    created_date timestamptz,
    last_edited_date timestamptz,
    completed_date timestamptz,
    tags text[] NOT NULL DEFAULT '{}',
    estimated_time double precision,
    actual_time double precision,
    dependencies uuid[] NOT NULL DEFAULT '{}',
    subtasks uuid[] NOT NULL DEFAULT '{}',
    notes text,
    source text,
    category text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX tasks_named ON tasks (task_id);
CREATE INDEX tasks_by_entity ON tasks (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON tasks
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE tasks FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON tasks USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Membership and engagement per community platform.
CREATE TABLE community_members (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT community_members_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    member_name text,
    member_id text,
    contact_profile uuid[] NOT NULL DEFAULT '{}',
    member_email text,
    join_date timestamptz,
    membership_level text,
    membership_status text,
    primary_platform text,
    platform_ids text,
    engagement_score double precision,
    last_active_date timestamptz,
    interests text[] NOT NULL DEFAULT '{}',
    badges text[] NOT NULL DEFAULT '{}',
    business_entity uuid[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX community_members_named ON community_members (member_id);
CREATE INDEX community_members_by_entity ON community_members (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON community_members FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON community_members
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE community_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE community_members FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON community_members USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Campaign planning, audience, schedule, metrics.
CREATE TABLE marketing_campaigns (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT marketing_campaigns_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    campaign_name text,
    campaign_id text,
    description text,
    status text,
    business_entity uuid[] NOT NULL DEFAULT '{}',
    campaign_type text,
    start_date timestamptz,
    end_date timestamptz,
    target_audience text[] NOT NULL DEFAULT '{}',
    channels text[] NOT NULL DEFAULT '{}',
    budget double precision,
    performance_metrics text,
    goals text,
    related_products uuid[] NOT NULL DEFAULT '{}',
    owner text[] NOT NULL DEFAULT '{}',
    workflow_instance uuid[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX marketing_campaigns_named ON marketing_campaigns (campaign_id);
CREATE INDEX marketing_campaigns_by_entity ON marketing_campaigns (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON marketing_campaigns FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON marketing_campaigns
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE marketing_campaigns ENABLE ROW LEVEL SECURITY;
ALTER TABLE marketing_campaigns FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON marketing_campaigns USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Feedback items and survey responses with sentiment and response tracking.
CREATE TABLE feedback_surveys (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT feedback_surveys_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    title text,
    feedback_id text,
    source text,
    contact uuid[] NOT NULL DEFAULT '{}',
    related_product_service uuid[] NOT NULL DEFAULT '{}',
    related_workflow_instance uuid[] NOT NULL DEFAULT '{}',
    date_received timestamptz,
    business_entity uuid[] NOT NULL DEFAULT '{}',
    feedback_type text,
    rating double precision,
    feedback_content text,
    sentiment text,
    status text,
    response text,
    response_date timestamptz,
    tags text[] NOT NULL DEFAULT '{}',
    action_items uuid[] NOT NULL DEFAULT '{}',
    external_reference_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX feedback_surveys_named ON feedback_surveys (feedback_id);
CREATE INDEX feedback_surveys_by_entity ON feedback_surveys (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON feedback_surveys FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON feedback_surveys
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE feedback_surveys ENABLE ROW LEVEL SECURITY;
ALTER TABLE feedback_surveys FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON feedback_surveys USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);

-- Loyalty, referral, community bounty programmes.
CREATE TABLE rewards_bounties (
    record_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity text NOT NULL CONSTRAINT rewards_bounties_of_entity REFERENCES entity (slug) ON DELETE CASCADE,
    reward_name text,
    reward_id text,
    description text,
    reward_type text,
    status text,
    points_value double precision,
    monetary_value double precision,
    business_entity uuid[] NOT NULL DEFAULT '{}',
    eligibility_criteria text,
    start_date timestamptz,
    end_date timestamptz,
    redemption_count double precision,
    maximum_redemptions double precision,
    related_products uuid[] NOT NULL DEFAULT '{}',
    target_audience text[] NOT NULL DEFAULT '{}',
    redemption_instructions text,
    redemption_code text,
    image jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX rewards_bounties_named ON rewards_bounties (reward_id);
CREATE INDEX rewards_bounties_by_entity ON rewards_bounties (entity);
CREATE TRIGGER stamped BEFORE UPDATE ON rewards_bounties FOR EACH ROW EXECUTE FUNCTION notion_row_stamped();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON rewards_bounties
    FOR EACH ROW EXECUTE FUNCTION notion_row_changed();
ALTER TABLE rewards_bounties ENABLE ROW LEVEL SECURITY;
ALTER TABLE rewards_bounties FORCE ROW LEVEL SECURITY;
CREATE POLICY entity_scope ON rewards_bounties USING (
    entity = (SELECT current_setting('higherself.entity', true))
    OR (SELECT current_setting('higherself.entity', true)) = '*'
);
