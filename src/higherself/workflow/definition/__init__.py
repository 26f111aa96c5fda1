"""Workflow definitions: what they are, reading them from YAML, JSON and Python, their normal form.

loaded = load_text(text, file="lead_nurturing.yaml")     # a definition, with its places
load({"workflow": "hello", "version": 1, ...})           # the same keys, in Python
as_data(definition)                                      # and back
hash_of(definition)                                      # a definition never changes: this tells
"""

from higherself.workflow.definition.loader import LoadedDefinition, load, load_text
from higherself.workflow.definition.model import (
    Activity,
    After,
    AgentSelector,
    Approval,
    Branch,
    Collaboration,
    CollaborationStep,
    Constant,
    Parallel,
    Retry,
    Scheduled,
    State,
    SubWorkflow,
    Transition,
    WorkflowDefinition,
    state_path,
)
from higherself.workflow.definition.normal import as_data, check_unchanged, hash_of
from higherself.workflow.definition.template import Input

__all__ = [
    "Activity",
    "After",
    "AgentSelector",
    "Approval",
    "Branch",
    "Collaboration",
    "CollaborationStep",
    "Constant",
    "Input",
    "LoadedDefinition",
    "Parallel",
    "Retry",
    "Scheduled",
    "State",
    "SubWorkflow",
    "Transition",
    "WorkflowDefinition",
    "as_data",
    "check_unchanged",
    "hash_of",
    "load",
    "load_text",
    "state_path",
]
