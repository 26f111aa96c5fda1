DROP TABLE notion_echo, notion_write, notion_grant, notion_budget;
