DROP TABLE workflow_history, workflow_instance, workflow_definition;
DROP FUNCTION workflow_history_is_final();
DROP FUNCTION workflow_history_goes();
