"""What the processes of the laboratory agree on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from higherself.messaging.model import RetryPolicy

STAGES = 3
"""Agents that a message goes through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a worker works.

    ``at_once``: how many messages it handles at a time, with a handful of connections. ``skew``: by
    how many hours its clock is wrong. ``nats``: the server that it drains, and where its monitoring
    answers.
    """

    url: str
    name: str = "worker"
    agents: int = 3
    seconds: float = 0.0
    concurrency: int = 4
    at_once: int = 24
    lease_seconds: float = 1.5
    attempts: int = 60
    skew: float = 0.0
    nats: str | None = None
    monitoring: str | None = None

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def policy(self) -> RetryPolicy:
        return RetryPolicy(
            max_attempts=self.attempts,
            max_lapses=3 if self.attempts < 10 else 60,
            base=timedelta(milliseconds=50),
            ceiling=timedelta(milliseconds=400),
        )

    def text(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Plan":
        return cls(**said)


def first_hop(n: int, conversations: int) -> dict[str, Any]:
    """Return what is said to the first agent about the number ``n``."""
    return {"n": n, "stage": 0, "conversation": n % conversations}


def next_hop(said: Mapping[str, Any]) -> dict[str, Any]:
    return {**said, "stage": said["stage"] + 1}


def agent_of(said: Mapping[str, Any], agents: int) -> str:
    """Return the inbox that a hop goes to: another for each stage of a conversation."""
    return f"agent.a{(said['conversation'] + said['stage']) % agents}"
