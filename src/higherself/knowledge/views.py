"""In which spaces a question is asked: the best tier that answers, and what it does not cover."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from higherself.kernel.errors import Unavailable
from higherself.knowledge.errors import ProviderUnavailable, TextsRefused
from higherself.knowledge.meaning import Question, View
from higherself.knowledge.model import StoredSpace
from higherself.knowledge.ports import EmbeddingProvider
from higherself.knowledge.roster import Roster, Standing
from higherself.knowledge.search import Request


class GivenView:
    """For a caller who brings the query's vector, or asks in one space by name."""

    def __init__(self, space: StoredSpace) -> None:
        self._space = space

    async def of(self, request: Request) -> View:
        """Return the question in that space."""
        if request.mode == "lexical":
            return View()
        if request.vector is not None:
            return View((Question(self._space, request.vector),))
        reason = f"{self._space.name} has no provider here: bring the query's vector"
        return by_words_alone(request, reason)


class TierViews:
    """Turns from tier to tier until one answers. Never asks one whose circuit is open."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    async def of(self, request: Request) -> View:
        """Return the question in the space of the first tier that can answer it.

        Raises
            Unavailable: only meaning was to be searched, and nobody can make the vector.
        """
        if request.mode == "lexical":
            return View()
        standings = [await self._roster.standing(m) for m in await self._roster.answering()]
        if request.vector is not None and standings:
            return View((Question(standings[0].member.stored, request.vector),))
        failed: dict[str, str] = {}
        for standing in sorted(standings, key=lambda s: not s.suffices):
            try:
                first = await _asked(standing, request.text)
            except Unavailable as error:
                failed[standing.member.stored.name] = str(error)
                continue
            reasons = [
                failed.get(better.member.stored.name) or _why_not(better)
                for better in standings[: standings.index(standing)]
            ]
            second, missing = await self._second(standing, standings, request.text)
            reasons += missing
            questions = (first,) if second is None else (first, second)
            return View(questions, degraded=bool(reasons), reason="; ".join(reasons) or None)
        why = "; ".join(failed.values()) or self._roster.why_off()
        return by_words_alone(request, why or "no embedding provider is configured")

    async def _second(
        self, standing: Standing, standings: Sequence[Standing], text: str
    ) -> tuple[Question | None, list[str]]:
        """Return the question in the space on this machine, if the first one does not cover all.

        With it the reasons why that is less than there could be: nothing, if what the first space
        lacks is not for it.
        """
        waits = standing.coverage is not None and standing.coverage.waiting > 0
        reasons = [_partly(standing)] if waits else []
        if not waits and not standing.leaves_out:
            return None, reasons
        here = [s for s in standings if s is not standing and s.member.stored.on_machine]
        if not here:
            return None, reasons
        try:
            return await _asked(here[0], text), reasons
        except Unavailable as error:
            return None, [*reasons, str(error)]


def by_words_alone(request: Request, reason: str) -> View:
    """Return the view of a question nobody can embed.

    Raises
        Unavailable: only meaning was to be searched.
    """
    if request.mode == "vector":
        raise Unavailable(f"cannot search by meaning: {reason}; try `--mode lexical`")
    return View(degraded=True, reason=f"searched by words alone: {reason}")


def _why_not(better: Standing) -> str:
    """Return why a tier that comes first did not answer, though nobody asked it."""
    paused = better.member.tier.unavailable()
    return str(paused) if paused is not None else _partly(better)


def _partly(standing: Standing) -> str:
    coverage = standing.coverage
    if coverage is None:
        return f"{standing.member.stored.name} was not asked"
    return (
        f"{standing.member.stored.name} covers {coverage.share:.0%} of the chunks so far "
        f"({coverage.waiting} wait)"
    )


async def _asked(standing: Standing, text: str) -> Question:
    """Return the question, embedded; of a text beyond the model's window, what fits.

    Raises
        Unavailable: the tier does not answer.
    """
    tier: EmbeddingProvider = standing.member.tier
    while tier.count_tokens([text])[0] > tier.window:
        text = text[: len(text) * 9 // 10]
    try:
        (vector,) = await tier.embed([text], purpose="query")
    except TextsRefused as error:
        raise ProviderUnavailable(f"{standing.member.tier.name} refuses the question") from error
    embedded: NDArray[np.float32] = np.asarray(vector, dtype=np.float32)
    return Question(standing.member.stored, embedded)
