"""A language model that says which agent an unknown message is for, among what agents declare."""

from collections.abc import Callable, Sequence

from higherself.agents.llm.model import Source
from higherself.agents.llm.ports import LanguageModel
from higherself.agents.llm.tasks import classify
from higherself.agents.model import AgentCard
from higherself.agents.routing import Need, Suggestion

NOBODY = "nobody"

LEAST_SURE = 0.5
"""How sure it has to be (0 to 1) to be followed."""

MOST_LABELS = 200
"""Types of messages that it may choose from."""

_WILD = ("*", ">")


class ModelRouter:
    """Has a language model choose: an agent, and a type of message that this agent knows.

    It sees the type of the message alone, not its data: so no text that a stranger wrote decides
    where something goes, and nothing of the business leaves for it.
    """

    def __init__(self, model: Callable[[], LanguageModel]) -> None:
        self._model = model

    async def suggest(self, need: Need, agents: Sequence[AgentCard]) -> Suggestion | None:
        """Return whom the model would give the message to, and as what; None: nobody.

        Raises
            AskFailed: it cannot be asked.
        """
        known = {
            f"{card.name} {type_}": (card, type_)
            for card in agents
            for type_ in card.accepts
            if not any(word in _WILD for word in type_.split("."))
        }
        if not known or need.type is None:
            return None
        labels = {
            label: _words(f"{type_} {card.role} {card.description}")
            for label, (card, type_) in list(known.items())[:MOST_LABELS]
        }
        text = Source(text=" ".join(_words(need.type)), origin="the type of a message")
        ask = classify(text, labels, otherwise=NOBODY, entity=need.entity or "default")
        chosen = (await self._model().complete(ask)).output
        if chosen.label not in known or chosen.confidence < LEAST_SURE:
            return None
        card, type_ = known[chosen.label]
        return Suggestion(card.name, type_, chosen.why or f"it is {type_}")


def _words(text: str) -> list[str]:
    for mark in "._-:/":
        text = text.replace(mark, " ")
    return list(dict.fromkeys(text.lower().split()))
