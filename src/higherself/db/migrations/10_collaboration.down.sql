DROP TABLE pattern_decision, pattern_proposal, collaboration_task, collaboration;
