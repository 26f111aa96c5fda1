DROP TABLE a2a_task;
