"""The vectors that texts need, in the space of every member; what cannot be had now waits.

A member that fails stops nobody: its texts are stored without a vector in its space, which is
marked as waiting, and nothing is written elsewhere in its name. See `Backlog` for what comes then.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from higherself.kernel.errors import Unavailable
from higherself.kernel.tasks import task_group
from higherself.knowledge.errors import TextsRefused, TextTooLong
from higherself.knowledge.ports import Content, DocumentStore, EmbeddingProvider, Filling
from higherself.knowledge.roster import Member

PATIENCE = timedelta(seconds=90)
"""How long documents wait for a member elsewhere to embed a batch; then it is left to the backlog."""

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A text that needs its vectors. A ``private`` one must not leave this machine."""

    text: str
    private: bool


@dataclass(frozen=True, slots=True)
class Made:
    """What a provider made of some texts: vectors, reasons of those it refuses, and why not all."""

    vectors: Mapping[Content, Vector]
    refused: Mapping[Content, str]
    reason: str | None = None


class Embedders:
    """Embeds for the members, for one run of an ingest. Not for concurrent runs."""

    def __init__(self, store: DocumentStore, members: Sequence[Member]) -> None:
        self.members = members
        self._store = store
        self.left: dict[str, str] = {}
        """Why a space is left to the backlog for the rest of the run."""

    @property
    def splitter(self) -> EmbeddingProvider:
        """Whose tokens count when documents are split: the model on this machine, if there is one.

        Its window is the narrowest, so every member can embed what is split for it.
        """
        here = (member.tier for member in self.members if member.tier.on_machine)
        return next(here, self.members[0].tier)

    async def fillings(self, wanted: Mapping[Content, Wanted]) -> list[Filling]:
        """Return what each member's space gets of ``wanted``."""
        async with task_group() as group:
            tasks = [group.create_task(self._filling(m, wanted)) for m in self.members]
        return [task.result() for task in tasks]

    async def _filling(self, member: Member, wanted: Mapping[Content, Wanted]) -> Filling:
        space = member.stored
        open_to = {c: w.text for c, w in wanted.items() if space.on_machine or not w.private}
        present = await self._store.find_embedded(space, open_to) if open_to else set()
        missing = {content: text for content, text in open_to.items() if content not in present}
        if not missing:
            return Filling(space, {})
        if space.name in self.left:
            return Filling(space, {}, lacking=missing, waiting=True)
        try:
            async with asyncio.timeout(
                None if member.tier.on_machine else PATIENCE.total_seconds()
            ):
                made = await embed(member.tier, missing)
        except TimeoutError:
            made = Made({}, {}, f"{member.tier.name} did not answer in time")
        if made.reason is not None:
            self.left[space.name] = made.reason
        return Filling(
            space, made.vectors, made.refused, lacking=missing, waiting=made.reason is not None
        )


async def embed(provider: EmbeddingProvider, texts: Mapping[Content, str]) -> Made:
    """Return what ``provider`` makes of ``texts``, whatever goes wrong with it."""
    contents = list(texts)
    try:
        made = await provider.embed(list(texts.values()), purpose="document")
    except TextsRefused as error:
        refused = {contents[place]: reason for place, reason in error.reasons.items()}
        rows = zip(contents, error.vectors, strict=True)
        return Made({c: vector for c, vector in rows if c not in refused}, refused)
    except TextTooLong as error:
        return await _one_by_one(provider, texts, error)
    except Unavailable as error:
        return Made({}, {}, str(error))
    return Made(dict(zip(contents, made, strict=True)), {})


async def _one_by_one(
    provider: EmbeddingProvider, texts: Mapping[Content, str], error: TextTooLong
) -> Made:
    """Return the same when some text is beyond the window: those are refused, not cut."""
    counted = provider.count_tokens(list(texts.values()))
    too_long = {
        content: str(TextTooLong(tokens=tokens, limit=provider.window))
        for content, tokens in zip(texts, counted, strict=True)
        if tokens > provider.window
    }
    if not too_long:
        return Made({}, dict.fromkeys(texts, str(error)))
    rest = await embed(provider, _without(texts, too_long))
    return Made(rest.vectors, {**rest.refused, **too_long}, rest.reason)


def _without(texts: Mapping[Content, str], some: Collection[Content]) -> dict[Content, str]:
    return {content: text for content, text in texts.items() if content not in some}
