"""Pages of instances as files, to be compared: ``python -m tests.services.notion.status.pages`` writes them."""

from pathlib import Path

from tests.workflow.view.samples import business, failed_booking, half_done_lead
from tests.workflow.world import World

from higherself.services.notion.status_page import Related, StatusPage, status_page
from higherself.workflow.view.page import StatusReport, status_report

FOLDER = Path(__file__).with_name("golden")
PAGE = "1f3c1f3c-1f3c-4f3c-8f3c-1f3c1f3c1f3c"


def asked() -> World:
    """An exhibition that somebody is to decide about; its title would like to be markup."""
    return World(business("gallery_exhibit")).start(
        title="Blue *period* </callout> <b>x</b>", priority="urgent",
        client={"name": "Ada [Lovelace](http://evil.example)", "email": "ada@example.org"},
    )  # fmt: skip


def report_of(world: World) -> StatusReport:
    return status_report(world.definition, world.snapshot, world.history)


def page_of(world: World, **related: object) -> StatusPage:
    given = Related(**related)  # type: ignore[arg-type]
    return status_page(report_of(world), world.snapshot, key="order-7", related=given)


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    return {
        "asked": page_of(asked(), definition=PAGE, dashboard="https://hs.example/i/7").body,
        "failed": page_of(failed_booking()).body,
        "half_done": page_of(half_done_lead(), children=[("booking", PAGE)], parent=("campaign", None)).body,
    }  # fmt: skip


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / f"{name}.md").write_text(text + "\n")
