DROP TABLE notion_conflict, notion_generated, notion_document, notion_event, notion_checkpoint, notion_page, notion_source;
