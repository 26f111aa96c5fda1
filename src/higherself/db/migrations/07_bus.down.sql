DROP TRIGGER message_event_is_copied ON message;
DROP TRIGGER message_event_is_told ON message;
DROP FUNCTION message_event_is_copied();
DROP FUNCTION message_event_is_told();
DROP TABLE message_key, message_subscription;
DROP INDEX message_caused;
ALTER TABLE message DROP COLUMN told;
