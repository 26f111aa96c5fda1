"""Staying in step: trouble is waited out, announcements are looked into, sweeps come in time."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta

from tests.notion.following.workspace import workspace

from higherself.db.pool import Database
from higherself.notion.following.follower import CycleReport, Follower
from higherself.notion.following.sightings import Seen, Sighting
from higherself.notion.following.watching import Rhythm, Watching


class Clumsy:
    """Fails in a way that nobody expects, some times."""

    name = "clumsy"

    def __init__(self, times: int) -> None:
        self.times = times

    def watches(self, data_source_id: str | None) -> bool:
        return True

    async def see(self, sightings: Sequence[Sighting]) -> Seen:
        self.times -= 1
        if self.times >= 0:
            raise KeyError("results")
        return Seen()


class Enough(Exception):
    pass


async def test_it_goes_on_after_trouble_and_sweeps_in_time(database: Database) -> None:
    async with workspace(database) as ours:
        page = ours.page("Page", "Text.")
        ours.wait(minutes=5)
        follower = Follower(
            ours.connection.api,
            ours.connection.gateway,
            ours.follower.store,
            ours.shared,
            [Clumsy(2), ours.knowledge],
        )
        told: list[str] = []
        reports: list[CycleReport] = []
        scopes: list[str] = []

        def reported(report: CycleReport) -> None:
            reports.append(report)
            if len(reports) == 1:
                ours.write(page, "More.")
            if len(reports) == 8:
                raise Enough

        rhythm = Rhythm(
            changes=timedelta(minutes=10),
            listing=timedelta(minutes=15),
            content=timedelta(minutes=45),
            announced=timedelta(minutes=2),
        )
        watching = Watching(
            follower, ours.shared, rhythm=rhythm, told=told.append, reported=reported
        )
        cycle = follower.cycle

        async def noted(**how: str) -> CycleReport:
            scopes.append(how["scope"])
            return await cycle(**how)  # type: ignore[arg-type]

        follower.cycle = noted  # type: ignore[method-assign,assignment]
        async with asyncio.timeout(60):
            with contextlib.suppress(Enough):
                await watching.run()
        assert len(told) == 2
        assert all("KeyError" in line for line in told)
        assert "More." in (await ours.texts())[page]
        assert {"changes", "listing", "content"} <= set(scopes)
        assert not await ours.follower.store.checkpoint("trouble")
