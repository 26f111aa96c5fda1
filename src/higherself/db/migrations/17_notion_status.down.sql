-- The pages stay in Notion; nobody knows any more which instance they belong to.
DROP TRIGGER notion_status_begun ON workflow_instance;
DROP TRIGGER notion_status_moved ON workflow_instance;
DROP TRIGGER notion_status_ended ON workflow_instance;
DROP TABLE notion_definition;
DROP TABLE notion_command;
DROP TABLE notion_status;
DROP TABLE notion_left_page;
DROP FUNCTION notion_status_moved;
DROP FUNCTION notion_status_ended;
DROP FUNCTION notion_page_left;
