"""A row for each business in every table that has rows of businesses: whoever adds a table adds it here."""

ROWS = (
    "INSERT INTO message (message_id, entity, topic, source, type, time, correlation_id, "
    "hop_count, extensions, data, priority, status, due_at) SELECT gen_random_uuid(), slug, "
    "'t', 's', 't', now(), 'c', 0, '{}', '{}', 1, 'ready', now() FROM entity",
    "INSERT INTO message_inbox SELECT message_id, topic, entity, now() FROM message",
    "INSERT INTO workflow_definition VALUES ('w', 1, '', '{}', '', now())",
    "INSERT INTO workflow_instance (instance_id, entity, workflow, version, status, state, "
    "sequence, snapshot, reason, started_at, updated_at) SELECT gen_random_uuid(), slug, 'w',"
    " 1, 'waiting', 's', 1, '{}', '', now(), now() FROM entity",
    "INSERT INTO workflow_history (instance_id, sequence, entity, at, entry) SELECT "
    "instance_id, 1, entity, now(), '{}' FROM workflow_instance",
    "INSERT INTO a2a_task SELECT gen_random_uuid(), slug, 'c', 'm', '', '{}', NULL, "
    "'submitted', NULL, NULL, 1, now(), NULL, now() FROM entity",
    "INSERT INTO agent_state SELECT 'nyra', slug, 's', '{}', 1, now() FROM entity",
    "INSERT INTO agent_handoff SELECT slug, 'c', 1, 'nyra', 'solari', '', gen_random_uuid(), "
    "now() FROM entity",
    "INSERT INTO agent_escalation (ticket, entity, agent, message_id, correlation_id, cause, "
    "key, severity, reason, attempts, details, status, due_at, opened_at, updated_at) SELECT "
    "'ESC-AAAAAAA' || row_number() OVER (), slug, 'nyra', gen_random_uuid(), 'c', '{}', slug,"
    " 1, 'r', '[]', 'null', 'open', now(), now(), now() FROM entity",
    "INSERT INTO agent_routing (entity, wanted, way, reason, considered, at) SELECT slug, "
    "'name:nyra', 'required', 'r', '{}', now() FROM entity",
    "INSERT INTO agent_citation SELECT gen_random_uuid(), 1, entity, 'nyra', document_id, 1, "
    "'q', now() FROM document",
    "INSERT INTO collaboration (collaboration_id, entity, name, pattern, plan, state, "
    "sequence, status, correlation_id, hop_count, started_at, updated_at) SELECT "
    "gen_random_uuid(), slug, 'n', 'chain', '{}', '{}', 1, 'running', slug, 0, now(), now() "
    "FROM entity",
    "INSERT INTO collaboration_task (collaboration_id, task, entity, step, kind, attempt, "
    "wanted, agent, message_id, status, asked_at) SELECT collaboration_id, 't/1', entity, "
    "'t', 'work', 1, 'a', 'a', gen_random_uuid(), 'asked', now() FROM collaboration",
    "INSERT INTO pattern_proposal (proposal_id, entity, name, step, kind, change, reason, "
    "gain_seconds, gain_share, samples, status, created_at) SELECT gen_random_uuid(), slug, "
    "'n', 's', 'hedge', '{}', '', 1, 1, 1, 'open', now() FROM entity",
    "INSERT INTO pattern_decision (proposal_id, entity, decision, decided_by, decided_at) "
    "SELECT proposal_id, entity, 'approved', 'ana', now() FROM pattern_proposal",
    "INSERT INTO language_model_day SELECT slug, current_date FROM entity",
    "INSERT INTO language_model_usage SELECT slug, current_date, 'm', 1, 0, 10, 5, 0, 0, 100 "
    "FROM entity",
    "INSERT INTO language_model_reservation SELECT gen_random_uuid(), slug, current_date, "
    "'m', 10, 100 FROM entity",
    "INSERT INTO skill_result SELECT slug, sha256('k'), 's', '1', '1', now(), now() + "
    "interval '1 hour' FROM entity",
    "INSERT INTO skill_claim SELECT slug, sha256('k'), 's', gen_random_uuid(), now() FROM entity",
    "INSERT INTO skill_clearing (entity, skill, at) SELECT slug, 's', now() FROM entity",
    *(
        f"INSERT INTO {table} (entity) SELECT slug FROM entity"  # and, by a trigger, into notion_push
        for table in (
            "business_entities",
            "agents",
            "api_integrations",
            "workflows_library",
            "contacts_profiles",
            "products_services",
            "data_transformations",
            "agent_communication_patterns",
            "use_cases",
            "notification_templates",
            "tasks",
            "community_members",
            "marketing_campaigns",
            "feedback_surveys",
            "rewards_bounties",
        )
    ),
    "INSERT INTO notion_record (database, record_id, entity, synced_at) SELECT 'tasks', "
    "record_id, entity, now() FROM tasks",
    "INSERT INTO notion_document (page_id, entity, content_hash, chunks, indexed_at) SELECT "
    "slug, slug, '', 1, now() FROM entity",
    "INSERT INTO notion_generated SELECT slug, 'agent:nyra', 'n', slug, 1, '', 'written', now() "
    "FROM entity",
    "INSERT INTO notion_conflict (conflict_id, entity, page_id, title, part, ours, theirs, "
    "opened_at) SELECT gen_random_uuid(), slug, slug, '', 'p', '', '', now() FROM entity",
    "INSERT INTO delivery (delivery_id, entity, key, channel, recipients, sender, about, purpose, "
    "name, headers, content, status, created_at) SELECT gen_random_uuid(), slug, 'k', 'file', "
    "'{a.md}', '', '', 'transactional', 'n', '{}', '', 'held', now() FROM entity",
    "INSERT INTO human_task (human_task_id, ticket, entity, key, kind, title, text, details, roles, "
    "severity, source, created_at) SELECT gen_random_uuid(), 'REV-' || slug, slug, 'k', 'review', "
    "'t', 't', '{}', '{}', 1, 'elan', now() FROM entity",
    "INSERT INTO webhook_delivery (delivery_id, entity, source, key, event, received_at, verified_at, "
    "body_hash, status) SELECT gen_random_uuid(), slug, slug, 'k', 'e', now(), now(), '', 'received' "
    "FROM entity",
    "INSERT INTO webhook_subject SELECT slug, 's', 's', '{}', now() FROM entity",
    "INSERT INTO suppression SELECT slug, 'ana@example.org', 'nothing', 'ana', now() FROM entity",
    "INSERT INTO happening (entity, id, type, source, correlation_id, data, status, happened_at, "
    "received_at) SELECT slug, 'h', 't', 's', 'c', '{}', 'open', now(), now() FROM entity",
    "INSERT INTO happening_start SELECT entity, id, 'w', 'k', 'a', 'c', NULL, now() FROM happening",
    "INSERT INTO workflow_setup SELECT slug, 'w', '{}', true, 'ana', 'cli', now() FROM entity",
    "INSERT INTO notion_status (instance_id, entity) SELECT instance_id, entity "
    "FROM workflow_instance",
    "INSERT INTO notion_command (command_id, entity, instance_id, page_id, source, action, words, "
    "person, state, seen_at) SELECT slug, slug, gen_random_uuid(), 'p', 'comment', 'Approve', '', "
    "'ada', 'taken', now() FROM entity",
)
