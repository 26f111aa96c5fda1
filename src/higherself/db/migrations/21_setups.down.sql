DROP INDEX contacts_profiles_by_phone;
DROP TABLE notion_setup, workflow_setup, happening_start, happening;
