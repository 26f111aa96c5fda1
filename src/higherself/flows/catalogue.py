"""Which flows there are."""

from higherself.flows.model import Flow, FlowUnknown
from higherself.flows.reviewing import in_notion
from higherself.flows.scenarios import (
    collaboration,
    content,
    events,
    knowledge,
    lead_nurturing,
    support,
    webhooks,
    workflows,
)

FLOWS = {
    each.name: each
    for each in (
        Flow("knowledge", "What the business knows", knowledge),
        Flow("collaboration", "Agents work together", collaboration),
        Flow("workflows", "Workflows: branches, timers, approvals", workflows),
        Flow("lead_nurturing", "A lead becomes a client", lead_nurturing),
        Flow("content", "A text is made, reviewed and published", content),
        Flow("notion", "A text is reviewed in Notion", in_notion, notion=True),
        Flow("events", "A workshop from the idea to the feedback", events),
        Flow("support", "Requests for help", support),
        Flow("webhooks", "Every webhook", webhooks),
    )
}


def chosen(names: tuple[str, ...]) -> list[Flow]:
    """Return the flows of these names, or all.

    Raises
        FlowUnknown: there is none of a name.
    """
    for name in names:
        if name not in FLOWS:
            raise FlowUnknown(f"there is no flow {name!r}; there are {', '.join(FLOWS)}")
    return [FLOWS[name] for name in names] if names else list(FLOWS.values())
