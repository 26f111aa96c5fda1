"""Workflows meet skills and agents: who runs an activity, and with what."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from higherself.agents.routing import Candidate, Need, Selector, route
from higherself.agents.skills import InputRejected, SkillCall, SkillUnknown
from higherself.agents.skills.invocation import SkillInvoker
from higherself.kernel.jsonvalue import JsonValue
from higherself.workflow.definition import AgentSelector
from higherself.workflow.engine.activities import ActivityCall, Ran
from higherself.workflow.engine.errors import CannotRun

_SECRET = re.compile(r"\{\{\s*secrets\.([A-Za-z_]\w*)\s*\}\}")

MASK = "***"
SHORTEST_MASKED = 6
"""Characters that a secret has to have to be masked: a shorter one would be found anywhere."""

J = TypeVar("J", bound=JsonValue)

Candidates = Callable[[], Awaitable[Sequence[Candidate]]]
"""Returns the agents that there are."""

Secrets = Callable[[str], str | None]
"""Returns the secret of a name, if there is one."""


async def _nobody() -> Sequence[Candidate]:
    return ()


class SkillRunner:
    """Runs skills, each by the agent that routing chooses if the definition asks for one.

    Secrets are put where the definition has them, and are taken out of results and errors.
    """

    def __init__(
        self,
        skills: SkillInvoker,
        *,
        candidates: Candidates = _nobody,
        secrets: Secrets = lambda name: None,
    ) -> None:
        self._skills, self._candidates, self._secrets = skills, candidates, secrets

    async def run(self, call: ActivityCall) -> Ran:
        """Return what the activity comes to.

        Raises
            CannotRun: no agent, no such skill, or not the secrets that it needs, are here.
            Exception: it failed; secrets that it was given are not in the text.
        """
        if call.skill is None:
            raise CannotRun(f"no worker that looked can run the pattern {call.pattern}")
        try:
            found = self._skills.skills.find(call.skill)
        except SkillUnknown as unknown:
            raise CannotRun(f"no worker that looked has it ({unknown})") from None
        agent = None if call.agent is None else await self._routed(call, call.agent)
        given, used = _with_secrets(call.input, call.secrets, self._secrets)
        if not isinstance(given, Mapping):
            raise InputRejected(found.name, ["input: an object is needed"])
        asked = SkillCall(
            key=call.key,
            attempt=call.attempt,
            instance=str(call.instance),
            entity=call.entity,
            agent=agent,
            workflow=call.workflow,
            state=call.activity.partition("/")[0] or None,
            correlation=call.correlation or str(call.instance),
        )
        try:
            # The engine limits the time. What was made with a secret is kept nowhere.
            result = await self._skills.run(
                found.full_name, given, asked, within=None, cached=not call.secrets
            )
            return Ran(_masked(result, used), agent)
        except Exception as error:
            if any(secret in str(error) for secret in used):
                raise _like(error, _masked(str(error), used)) from None
            raise

    async def _routed(self, call: ActivityCall, selector: AgentSelector) -> str:
        wanted = Selector(selector.name, selector.role, selector.capability, selector.entity)
        need = Need(wanted, entity=call.entity, task=call.skill or "")
        routing = route(need, await self._candidates())
        if routing.agent is None:
            raise CannotRun(routing.reason)
        return routing.agent


def _with_secrets(
    given: JsonValue, places: Sequence[tuple[str | int, ...]], secrets: Secrets
) -> tuple[JsonValue, tuple[str, ...]]:
    """Return ``given`` with secrets in their ``places``, and nowhere else; and which they were."""
    used: dict[str, None] = {}

    def secret(name: re.Match[str]) -> str:
        value = secrets(name[1])
        if value is None:
            raise CannotRun(
                f"no worker that looked has the secret {name[1]}; "
                f"set HIGHERSELF_SECRET_{name[1].upper()}"
            )
        used[value] = None
        return value

    for place in places:
        given = _replaced(given, place, lambda text: _SECRET.sub(secret, text))
    return given, tuple(value for value in used if len(value) >= SHORTEST_MASKED)


def _replaced(
    given: JsonValue, place: tuple[str | int, ...], change: Callable[[str], str]
) -> JsonValue:
    if not place:
        return change(given) if isinstance(given, str) else given
    first, *rest = place
    if isinstance(given, Mapping) and isinstance(first, str) and first in given:
        return {**given, first: _replaced(given[first], tuple(rest), change)}
    if isinstance(given, list) and isinstance(first, int) and first < len(given):
        return [*given[:first], _replaced(given[first], tuple(rest), change), *given[first + 1 :]]
    return given


def _masked(value: J, used: Sequence[str]) -> J:
    """Return ``value`` without the secrets that were ``used``: it goes into the history."""
    if not used:
        return value
    masked: Any = value
    match value:
        case str():
            for secret in used:
                masked = masked.replace(secret, MASK)
        case Mapping():
            masked = {_masked(name, used): _masked(each, used) for name, each in value.items()}
        case list() | tuple():
            masked = [_masked(each, used) for each in value]
        case _:
            pass
    result: J = masked
    return result


def _like(error: Exception, said: str) -> Exception:
    """Return an error that ``not_on`` takes for ``error``, and that says ``said``."""
    kind = type(error)
    same = {"__str__": lambda self: said, "__module__": __name__}
    masked: type[Exception] = type(kind.__name__, (kind,), same)
    return masked.__new__(masked)
