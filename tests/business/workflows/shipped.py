"""The definitions that come with the program, as tests look at them."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from higherself.agents.skills import SkillRegistry
from higherself.app.extensions import load_extensions
from higherself.business.workflows import texts
from higherself.workflow.definition import WorkflowDefinition, as_data, load_text

FILES = dict(texts())
DEFINITIONS: dict[str, WorkflowDefinition] = {
    name.removesuffix(".yaml"): load_text(text, file=name).definition
    for name, text in FILES.items()
}
OPERATIONAL = {
    name.removesuffix(".yaml")
    for name, text in FILES.items()
    if re.search(r"WF-[A-Z-]+[A-Z]", text.partition("\n")[0])
}
"""The fourteen of the domain (A5.1)."""

OURS = (
    "content_creation_distribution", "event_coordination", "retreat_booking", "email_campaign",
    "community_engagement", "audience_segmentation", "lead_to_booking", "content_lifecycle",
    "retreat_sequence", "workflow_lead_capture_complete", "workflow_booking_confirmed",
    "workflow_content_published", "art_exhibition", "high_value_onboarding", "service_recovery",
    "campaign_launch", "lead_capture", "lead_nurturing", "contact_sequence", "personal_message",
    "customer_support", "art_sale", "task_management",
)  # fmt: skip
"""Templates and sequences whose ways are gone here."""


@cache
def skills() -> SkillRegistry:
    return load_extensions([]).skills


def parts(name: str, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every object of a definition that has a key, with its path."""
    yield from _parts(as_data(DEFINITIONS[name]), key, name)


def _parts(value: Any, key: str, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        if key in value and not path.endswith((".input", ".context", ".properties")):
            yield path, value
        for name, each in value.items():
            if name not in ("context", "schema"):
                yield from _parts(each, key, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            yield from _parts(each, key, f"{path}[{place}]")


def is_written(value: Any) -> bool:
    """Return whether there is no template in a value, so that it is what the skill gets."""
    if isinstance(value, str):
        return "{{" not in value
    if isinstance(value, Mapping):
        return all(is_written(each) for each in value.values())
    return not isinstance(value, list | tuple) or all(is_written(each) for each in value)
