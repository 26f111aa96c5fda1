DROP TABLE message_inbox, message;
