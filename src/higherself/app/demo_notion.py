"""The part of the demo that shows Notion: a workspace of the emulator, from nothing to a decision."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from higherself.app.demo_workspace import Workspace
from higherself.app.notion_sync import NotionSync, opened_sync
from higherself.app.notion_workflows import page_of_instance
from higherself.app.wiring import HigherSelf
from higherself.business import sample
from higherself.db.queryfile import read_queries
from higherself.kernel.errors import NotFound
from higherself.knowledge.model import Answer
from higherself.notion.databases.setup import SetupStep
from higherself.services.notion.text import SOURCE
from higherself.workflow.engine.model import Wanted

QUERIES = read_queries("higherself.app", "demo.sql")

BUSINESS, WORKFLOW = "the_7_space", "gallery_exhibit"
EXHIBITION, ANOTHER = "Corner Store Saints", "Slow Paper"
QUESTION = "What does a neighbor leave with us to borrow the tall ladder?"
PAGE = "The tall ladder"

TOP = "HigherSelf"
"""The page of the workspace under which the databases are made."""

OWNER, OWNERS_ADDRESS = "Robin Ash", "robin@example.com"
"""The person of the workspace, who decides."""

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Decision:
    """An instance of a workflow that waited for a person, who decided on its page in Notion.

    ``waiting_url`` is the page of another one, which waits still.
    """

    instance: UUID
    workflow: str
    question: str
    person: str
    before: str
    after: str
    page: str
    url: str
    waiting_url: str


@dataclass(frozen=True, slots=True)
class NotionReport:
    """What happened in Notion. ``found`` says that the answer came from the right page."""

    databases: int
    records: dict[str, int]
    pages_pushed: int
    pages_synced: int
    question: str
    answer: Answer
    found: bool
    decision: Decision
    requests: int
    seconds: float
    viewer: str
    problems: tuple[str, ...] = field(default=())


async def show_notion(hs: HigherSelf, workspace: Workspace, *, told: Told) -> NotionReport:
    """Set the databases up, carry rows over, read pages, and have a person decide; return what happened.

    What an earlier demo left of its workspace, which is no more, is forgotten first.
    """
    started = hs.clock.monotonic()
    await _forget(hs)
    told(f"Notion: making the databases of the business in a workspace at {workspace.base_url}")
    setup = await hs.notion.setup(adopt={}, progress=_every_fourth(told))
    told("Notion: bringing contacts, products and tasks there")
    records: dict[str, int] = {}
    for each in sample.records():
        await hs.notion.records(each.database).save(each.entity, each.values, key=each.key)
        records[each.database] = records.get(each.database, 0) + 1
    pushed = await hs.notion.push()
    async with opened_sync(hs) as following:
        told("Notion: reading the pages of the team")
        read = await following.follower.cycle()
        answer = await hs.knowledge.search(QUESTION, entity=BUSINESS, limit=1)
        told(f"Notion: starting {WORKFLOW}, and deciding on its page as {OWNER}")
        decision = await _decided(hs, workspace, following)
    return NotionReport(
        databases=len(setup.databases),
        records=records,
        pages_pushed=pushed.created,
        pages_synced=read.created,
        question=QUESTION,
        answer=answer,
        found=[hit.document.title for hit in answer.hits] == [PAGE],
        decision=decision,
        requests=await workspace.requests(),
        seconds=round(hs.clock.monotonic() - started, 1),
        viewer=workspace.viewer,
        problems=(*pushed.failed.values(), *read.problems),
    )


async def _decided(hs: HigherSelf, workspace: Workspace, following: NotionSync) -> Decision:
    await hs.hosted.install()
    begun, other = [
        await hs.workflows.start(WORKFLOW, context={"title": title}, entity=BUSINESS)
        for title in (EXHIBITION, ANOTHER)
    ]
    status = hs.notion_workflows.status
    usual, at_once = status.policy, timedelta(0)
    status.policy = replace(usual, settle=at_once, rest=at_once)
    try:
        await status.refresh()
        page, waiting = [await _page(hs, each.instance) for each in (begun, other)]
        await workspace.act("set_property", id=page, property="Action", value="Approve", **{"as": OWNER})  # fmt: skip
        await following.follower.cycle()
        await status.refresh()
    finally:
        status.policy = usual
    return Decision(
        instance=begun.instance,
        workflow=WORKFLOW,
        question=f"Shall we show {EXHIBITION}?",
        person=OWNER,
        before=begun.state,
        after=(await hs.workflows.get(begun.instance)).instance.state,
        page=page,
        url=workspace.shown(page),
        waiting_url=workspace.shown(waiting),
    )


async def _page(hs: HigherSelf, instance: UUID) -> str:
    shown = await page_of_instance(hs.database, hs.clock, instance)
    if shown is None:
        raise NotFound(f"no page in Notion shows the instance {instance}")
    return str(shown["page_id"])


async def _forget(hs: HigherSelf) -> None:
    """Forget the workspace of an earlier demo, the rows and pages it had, and end its instances."""
    for entity in sample.ENTITIES:
        await hs.knowledge.prune(entity, SOURCE, keep=lambda name: False)
    rows = [each.name for each in hs.notion.declaration.records]
    async with hs.database.transaction() as tx:
        known = [row["name"] for row in await tx.many(QUERIES["notion_tables"])]
        for table in (*rows, *known):
            await tx.run(QUERIES["empty_rows"], slots={"rows": table})
    earlier = Wanted(status="waiting", workflow=WORKFLOW, entity=BUSINESS)
    for instance in (await hs.workflows.page(earlier)).instances:
        await hs.workflows.cancel(instance.instance, reason="the demo begins anew")


def _every_fourth(told: Told) -> Callable[[SetupStep], None]:
    """Return what tells of the steps of setting up now and then."""
    last = -1

    def update(step: SetupStep) -> None:
        nonlocal last
        quarter = 4 * step.done // max(step.total, 1)
        if quarter > max(last, 0):
            told(f"Notion: {step.done} of {step.total} steps")
        last = max(last, quarter)

    return update
