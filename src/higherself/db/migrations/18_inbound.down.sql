-- 18_inbound, taken back: deliveries are gone, and what was known of their subjects.
DROP TABLE webhook_source;
DROP TABLE webhook_subject;
DROP TABLE webhook_delivery;
