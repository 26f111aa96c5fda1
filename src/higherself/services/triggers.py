"""Triggers: what is to follow when something happens, as data (`business/triggers.yaml`). Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from higherself.kernel.durations import duration_of
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.guard import (
    Fields,
    InvalidExpression,
    compile_guard,
    compile_template,
)

READABLE: Fields = {
    "event": None,
    "contact": None,
    "happening": dict.fromkeys(("type", "entity", "id", "source", "correlation", "at")),
}
"""What conditions and templates of triggers read: the data, the contact that was saved, the happening."""


class TriggersRejected(Rejected):
    """The triggers are not as they have to be; the text names the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened to a business, from wherever it was told of.

    ``id`` names it once and for all within the business. ``data`` is normalised: ``contact`` with
    ``email``, ``first_name``, ``last_name``, ``phone``, ...; ``booking``, ``order`` and so on.
    """

    type: str
    entity: str
    data: JsonObject
    id: str
    at: datetime
    source: str
    correlation: str

    def facts(self) -> JsonObject:
        """Return what expressions read of it as ``happening``."""
        return {
            "type": self.type,
            "entity": self.entity,
            "id": self.id,
            "source": self.source,
            "correlation": self.correlation,
            "at": self.at.isoformat(),
        }


# --- What triggers say.


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StartSaid(_Said):
    """A workflow to start. ``about``: what its instance is found by later; else the contact."""

    workflow: str
    key: str = "{{ happening.id }}"
    about: str | None = None
    context: dict[str, Any] = Field(default_factory=dict)


class SendSaid(_Said):
    """An event for an instance: of this ``key``, or the newest that is ``about`` the same.

    ``instance`` names instances by their identifiers instead, one or a list: all of them that are of
    this workflow are told.
    """

    workflow: str
    event: str
    key: str | None = None
    about: str | None = None
    instance: str | None = None
    data: dict[str, Any] | str = "{{ event }}"

    @model_validator(mode="after")
    def _finds_it_one_way(self) -> "SendSaid":
        if sum(each is not None for each in (self.key, self.about, self.instance)) > 1:
            raise ValueError("give `key`, `about` or `instance`, not two of them")
        return self


class Trigger(_Said):
    """What one type of happening leads to, if ``when`` holds (and for these businesses alone).

    ``needs_setup``: only for those that have set the workflow up, also if nothing of it has to be set.
    """

    on: str
    when: str | None = None
    entities: tuple[str, ...] = ()
    needs_setup: bool = False
    start: StartSaid | None = None
    send: SendSaid | None = None

    @model_validator(mode="after")
    def _does_one_thing(self) -> "Trigger":
        if (self.start is None) == (self.send is None):
            raise ValueError("a trigger has `start` or `send`, one of them")
        return self

    @property
    def workflow(self) -> str:
        """The workflow that it is about."""
        return self.start.workflow if self.start else self.send.workflow if self.send else ""


class Duplicates(_Said):
    """When something counts as told of before: the same ``by``, from a source that fits, not long ago.

    Sources of one family fit each other; so does ``any`` source named there with all of them.
    ``event`` is what the instance of the earlier one is told.
    """

    by: str
    within: str = "24h"
    families: tuple[tuple[str, ...], ...] = ()
    any: tuple[str, ...] = ()
    event: str = "repeated"

    @property
    def window(self) -> timedelta:
        """How long ago the earlier one may have been."""
        return duration_of(self.within)

    def compatible(self, one: str, other: str) -> bool:
        """Return whether what both sources tell may be the same."""
        one, other = one.partition(":")[0], other.partition(":")[0]
        if one == other or one in self.any or other in self.any:
            return True
        return any(one in family and other in family for family in self.families)


class RecordRule(_Said):
    """A change that people make to a row, and what happened by it.

    ``when`` and ``data`` read ``before`` and ``after`` (columns), and ``record`` (its identifier) and
    ``person`` (who changed it, by their id in Notion).
    """

    database: str
    when: str
    happening: str
    data: dict[str, Any] = Field(default_factory=dict)


class Triggers(_Said):
    """All of it, as `business/triggers.yaml` says."""

    duplicates: dict[str, Duplicates] = Field(default_factory=dict)
    triggers: tuple[Trigger, ...] = ()
    records: tuple[RecordRule, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        """The types of happenings that lead to anything."""
        return tuple(dict.fromkeys(each.on for each in self.triggers))

    def of(self, happening: Happening) -> Iterator[tuple[int, Trigger]]:
        """Yield the triggers for what happened, each with its place in the list."""
        for place, each in enumerate(self.triggers):
            if each.on == happening.type and (
                not each.entities or happening.entity in each.entities
            ):
                yield place, each


RECORD_FIELDS: Fields = {"before": None, "after": None, "record": None, "person": None}


def read_triggers(said: Mapping[str, Any]) -> Triggers:
    """Return the triggers that ``said`` is.

    Raises
        TriggersRejected: naming the place and what is wrong there.
    """
    try:
        read = Triggers.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise TriggersRejected(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for type_, each in read.duplicates.items():
        _check(f"duplicates.{type_}.by", each.by, READABLE)
        _check_window(f"duplicates.{type_}.within", each.within)
    for place, trigger in enumerate(read.triggers):
        _check_guard(f"triggers.{place}.when", trigger.when, READABLE)
        for part in ("start", "send"):
            for name, value in dict(getattr(trigger, part) or {}).items():
                _check(f"triggers.{place}.{part}.{name}", value, READABLE)
    for place, rule in enumerate(read.records):
        _check_guard(f"records.{place}.when", rule.when, RECORD_FIELDS)
        _check(f"records.{place}.data", rule.data, RECORD_FIELDS)
    return read


def _check(place: str, said: Any, known: Fields) -> None:
    try:
        compile_template(said, known=known)
    except InvalidExpression as error:
        raise TriggersRejected(f"{place}: {error}") from None


def _check_guard(place: str, said: str | None, known: Fields) -> None:
    try:
        if said is not None:
            compile_guard(said, known=known)
    except InvalidExpression as error:
        raise TriggersRejected(f"{place}: {error}") from None


def _check_window(place: str, said: str) -> None:
    try:
        duration_of(said)
    except ValueError as error:
        raise TriggersRejected(f"{place}: {error}") from None
