DROP TABLE agent_citation, agent_routing, agent_escalation, agent_handoff, agent_state, agent_tally, agent_presence, agent;
