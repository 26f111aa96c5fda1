"""A model where it answers, templates where it does not: every answer says which, and why."""

from dataclasses import replace
from typing import TypeVar

from higherself.agents.llm.errors import AskFailed, NoTemplate
from higherself.agents.llm.model import Answer, Ask
from higherself.agents.llm.ports import LanguageModel
from higherself.agents.llm.template import TemplateModel
from higherself.kernel import telemetry

T = TypeVar("T")


class WithTemplates:
    """A `LanguageModel` in whose place templates answer when it cannot: away, or no money left."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.model.name

    async def complete(self, ask: Ask[T]) -> Answer[T]:
        """Return the model's answer, or else a template's, with the reason and what was spent.

        Raises
            AskFailed: the model has none, and no template does what is asked.
        """
        try:
            return await self.model.complete(ask)
        except AskFailed as error:
            try:
                answer = await TemplateModel(str(error)).complete(ask)
            except NoTemplate as none:
                error.add_note(f"no template answered in its place: {none}")
                raise error from None
            telemetry.count(
                "agents.model.degraded", model=self.model.name, error=type(error).__name__
            )
            telemetry.warning("agents.model.degraded", entity=ask.entity, reason=str(error))
            return replace(answer, usage=error.usage, attempts=error.usage.requests)
