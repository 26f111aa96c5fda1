DROP TABLE business_entities, agents, api_integrations, workflows_library, contacts_profiles, products_services, data_transformations, agent_communication_patterns, use_cases, notification_templates, tasks, community_members, marketing_campaigns, feedback_surveys, rewards_bounties;
DROP TABLE notion_push, notion_record, notion_database;
DROP FUNCTION notion_row_changed(), notion_row_stamped();
DROP SEQUENCE notion_push_revision;
