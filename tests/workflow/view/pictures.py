"""The pictures of docs/howto/see-a-workflow.md. `python -m tests.workflow.view.pictures` draws them."""

from collections.abc import Mapping
from pathlib import Path

from tests.workflow.view.samples import (
    business,
    failed_booking,
    half_done_campaign,
    half_done_lead,
    lead_nurturing,
    many_leads,
    run_in,
)

from higherself.workflow.view import gantt, outlook, simulate, statistics_of, svg

FOLDER = Path(__file__).parents[3] / "docs/images"


def pictures() -> Mapping[str, str]:
    """Return every picture by its name."""
    lead, campaign, booking = half_done_lead(), half_done_campaign(), failed_booking()
    return {
        "workflow-definition": svg(business("database_sync")),
        "workflow-run": svg(lead.definition, run=run_in(lead)),
        "workflow-branches": svg(campaign.definition, run=run_in(campaign)),
        "workflow-failed": svg(booking.definition, run=run_in(booking)),
        "workflow-heat": svg(lead_nurturing(), statistics=statistics_of(many_leads())),
        "workflow-gantt": gantt(run_in(lead), title="lead_nurturing, one run"),
        "workflow-outlook": outlook(simulate(lead_nurturing(), runs=2000)),
    }


if __name__ == "__main__":
    for name, text in pictures().items():
        (FOLDER / f"{name}.svg").write_text(text)
