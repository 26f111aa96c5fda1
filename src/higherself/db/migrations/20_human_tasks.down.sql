DROP TABLE human_task;
