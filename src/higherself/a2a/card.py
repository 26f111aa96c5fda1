"""The agent card: the network as one agent, with what its agents and open skills can do."""

from collections.abc import Iterable

from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentProvider,
    AgentSkill,
)
from a2a.utils.constants import PROTOCOL_VERSION_CURRENT, TransportProtocol

from higherself import __version__
from higherself.agents import model
from higherself.agents.skills import Skill

RPC, REST = "/a2a", "/a2a/v1"
MODES = ("text/plain", "application/json")


def card_of(base: str, agents: Iterable[model.AgentCard], skills: Iterable[Skill]) -> AgentCard:
    """Return the card of a network that answers at the URL ``base``.

    A skill's ``id`` is what a message names it by: ``capability:X``, ``agent:X`` for an agent that
    names no capability, or ``skill:X``.
    """
    bindings = ((RPC, TransportProtocol.JSONRPC), (REST, TransportProtocol.HTTP_JSON))
    return AgentCard(
        name="HigherSelf Network",
        description="The agents of a small business as one: they take work in the form of a message, "
        "and answer with an artifact. Name what is wanted as metadata.skill.",
        version=__version__,
        provider=AgentProvider(organization="HigherSelf Network", url=base),
        supported_interfaces=[
            AgentInterface(
                url=base.rstrip("/") + path,
                protocol_binding=binding.value,
                protocol_version=PROTOCOL_VERSION_CURRENT,
            )
            for path, binding in bindings
        ],
        capabilities=AgentCapabilities(
            streaming=True, push_notifications=False, extended_agent_card=False
        ),
        default_input_modes=MODES,
        default_output_modes=MODES,
        skills=[*_of_agents(agents), *map(_of_skill, skills)],
    )


def _of_agents(agents: Iterable[model.AgentCard]) -> Iterable[AgentSkill]:
    able: dict[str, list[model.AgentCard]] = {}
    for each in agents:
        for name in each.capabilities:
            able.setdefault(f"capability:{name}", []).append(each)
        if not each.capabilities:
            able[f"agent:{each.name}"] = [each]
    for identifier, who in sorted(able.items()):
        accepts = sorted({type_ for each in who for type_ in each.accepts})
        told = "; ".join(
            f"{each.name}: {each.description or each.role or 'an agent'}" for each in who
        )
        types = f" Accepts metadata.type {', '.join(accepts)}." if accepts else ""
        yield AgentSkill(
            id=identifier,
            name=_named(identifier),
            description=f"{told}.{types}",
            tags=sorted({tag for each in who for tag in ("agent", each.name, each.role) if tag}),
        )


def _of_skill(skill: Skill) -> AgentSkill:
    return AgentSkill(
        id=f"skill:{skill.name}",
        name=_named(skill.name),
        description=skill.description or f"The skill {skill.name}.",
        tags=["skill", *skill.tags],
    )


def _named(identifier: str) -> str:
    return identifier.rpartition(":")[2].replace("_", " ").capitalize()
