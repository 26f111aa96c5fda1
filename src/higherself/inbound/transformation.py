"""Transformations: how what a source says becomes what happened, as data. Pure.

The rules are declared in `business/transformations.yaml`, and by businesses in the Data
Transformations database. A value is a path into what the source said, or an object: ``of`` (paths,
the first that has something counts), ``field`` (words in the title of a form's field), ``do``
(functions, one after another), ``default``, ``value`` (a constant), ``each`` (values of every item).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from higherself.inbound.errors import TransformationMistaken
from higherself.inbound.functions import KNOWN, WITH_ARGUMENT, Readers, Unreadable, apply
from higherself.inbound.model import Announcement
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.nearest import did_you_mean

Condition = Callable[[JsonObject], bool]
Conditions = Callable[[str], Condition]
"""Makes a condition of its text."""

ANY_EVENT = "*"
PASSED_ON = "{event}"
MOST_ADDITIONAL = 200_000
"""Characters of additional data that go along; what is more stays with the delivery alone."""


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ValueSaid(_Said):
    """Where a value comes from, and what is made of it."""

    of: tuple[str, ...] = ()
    field: tuple[str, ...] = ()
    do: tuple[tuple[str, Any], ...] = ()
    default: Any = None
    value: Any = None
    each: "dict[str, ValueSaid] | None" = None

    @model_validator(mode="before")
    @classmethod
    def _as_object(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"of": (given,)}
        if not isinstance(given, Mapping):
            raise ValueError("a path is needed, or an object with of, field, do, default or value")
        said = dict(given)
        for name in ("of", "field"):
            if isinstance(said.get(name), str):
                said[name] = (said[name],)
        return said

    @field_validator("do", mode="before")
    @classmethod
    def _functions(cls, given: Any) -> Any:
        steps = given if isinstance(given, list | tuple) else (given,)
        return tuple(_function(each) for each in steps)


def _function(said: Any) -> tuple[str, Any]:
    if isinstance(said, tuple):
        said = {said[0]: said[1]} if len(said) == 2 else said
    if isinstance(said, str):
        name, argument = said, None
    elif isinstance(said, Mapping) and len(said) == 1:
        ((name, argument),) = said.items()
    else:
        raise ValueError("a function is its name, or {name: argument}")
    if name not in KNOWN:
        raise ValueError(f"there is no function {name!r}{did_you_mean(str(name), KNOWN)}")
    if argument is None and name in WITH_ARGUMENT:
        raise ValueError(f"the function {name} needs an argument: {{{name}: ...}}")
    if name == "map" and not isinstance(argument, Mapping):
        raise ValueError("map needs an object: {map: {from: to}}")
    return str(name), argument


class RuleSaid(_Said):
    """What an event of a source means.

    ``state`` makes it one of several states of its subject: the latest by its own time counts, and
    none comes after a ``final`` one unless it says that it is later. ``opens`` is what has happened
    when the subject is first heard of; ``milestones`` happen once each, when a state is reached,
    however late one hears of it. ``once``: it happens once to its subject, however often it is told.
    """

    happening: str | None = None
    opens: str | None = None
    state: ValueSaid | None = None
    final: tuple[str, ...] = ()
    milestones: dict[str, str] = Field(default_factory=dict)
    when: str | None = None
    contact: Literal["required", "optional"] = "optional"
    once: bool = False
    subject: ValueSaid | None = None
    copied: str | None = Field(default=None, alias="copy")
    data: dict[str, ValueSaid] = Field(default_factory=dict)
    rest: str | None = None
    lookup: str | None = None
    ignore: str | None = None

    @model_validator(mode="after")
    def _means_something(self) -> "RuleSaid":
        if not (self.happening or self.opens or self.milestones or self.ignore):
            raise ValueError("say what it means: happening, opens or milestones; or ignore: why")
        if (self.opens or self.milestones or self.final) and self.state is None:
            raise ValueError("opens, milestones and final need a state")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What an announcement came to. ``problems`` are fields that could not be read, and why."""

    happening: str | None
    subject: str | None
    data: JsonObject
    state: str | None
    rule: RuleSaid = field(repr=False)
    problems: tuple[str, ...] = ()

    @property
    def has_contact(self) -> bool:
        """Whether somebody can be found by it: there is an e-mail address or a telephone number."""
        contact = self.data.get("contact")
        return isinstance(contact, Mapping) and bool(contact.get("email") or contact.get("phone"))


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that can be used."""

    said: RuleSaid
    condition: Condition | None
    name: str

    def fits(self, announcement: Announcement) -> bool:
        """Return whether it is meant for this announcement."""
        return self.condition is None or self.condition(_scope(announcement))


@dataclass(frozen=True, slots=True)
class Transformations:
    """The rules for events, by source and event; the first that fits is used."""

    rules: Mapping[str, Mapping[str, tuple[Rule, ...]]]

    def rule(self, source: str, announcement: Announcement) -> Rule | None:
        """Return the rule for an announcement, if there is one."""
        of_source = self.rules.get(source, {})
        for event in (announcement.event, ANY_EVENT):
            for rule in of_source.get(event, ()):
                if rule.fits(announcement):
                    return rule
        return None

    def before(self, other: "Transformations") -> "Transformations":
        """Return both, these first."""
        merged: dict[str, dict[str, tuple[Rule, ...]]] = {
            source: dict(events) for source, events in other.rules.items()
        }
        for source, events in self.rules.items():
            of_source = merged.setdefault(source, {})
            for event, rules in events.items():
                of_source[event] = (*rules, *of_source.get(event, ()))
        return Transformations(merged)


def read_transformations(
    said: Any, conditions: Conditions, *, where: str = "transformations"
) -> Transformations:
    """Return the rules of an object: source, then event, then a rule or several in a list.

    Raises
        TransformationMistaken: naming the place and what is wrong there.
    """
    if not isinstance(said, Mapping):
        raise TransformationMistaken(f"{where}: an object is needed: source, then event, then rule")
    rules: dict[str, dict[str, tuple[Rule, ...]]] = {}
    for source, events in said.items():
        if not isinstance(events, Mapping):
            raise TransformationMistaken(f"{where}: {source}: an object of events is needed")
        rules[str(source)] = {
            str(event): read_rules(given, conditions, where=f"{where}: {source}.{event}")
            for event, given in events.items()
        }
    return Transformations(rules)


def read_rules(given: Any, conditions: Conditions, *, where: str) -> tuple[Rule, ...]:
    """Return the rules for one event.

    Raises
        TransformationMistaken: naming the place and what is wrong there.
    """
    found = []
    for number, each in enumerate(given if isinstance(given, list) else [given]):
        place = f"{where}[{number}]" if isinstance(given, list) else where
        try:
            rule = RuleSaid.model_validate(each)
        except ValidationError as error:
            wrong = error.errors()[0]
            at = ".".join(str(part) for part in wrong["loc"])
            reason = str(wrong["msg"]).removeprefix("Value error, ")
            raise TransformationMistaken(f"{place}{'.' if at else ''}{at}: {reason}") from None
        found.append(Rule(rule, None if rule.when is None else conditions(rule.when), place))
    return tuple(found)


def transformed(announcement: Announcement, rule: RuleSaid, readers: Readers) -> News:
    """Return what an announcement says in our own words."""
    work = _Work(announcement.data, readers)
    data: dict[str, Any] = {}
    if rule.copied is not None:
        copied = at_path(announcement.data, rule.copied)
        data = {**copied} if isinstance(copied, Mapping) else {}
    for path, value in rule.data.items():
        found = work.value(value, path)
        if found not in (None, "", [], {}):
            _put(data, path, found)
    state = None if rule.state is None else work.value(rule.state, "state")
    subject = announcement.subject
    if rule.subject is not None:
        subject = _named(work.value(rule.subject, "subject")) or subject
    if rule.rest is not None and (rest := work.rest(rule.rest)):
        data["additional_data"] = _bounded(rest)
    if work.problems:
        data["problems"] = list(work.problems)
    happening = rule.happening
    return News(
        happening=announcement.event if happening == PASSED_ON else happening,
        subject=subject,
        data=data,
        state=_named(state),
        rule=rule,
        problems=tuple(work.problems),
    )


class _Work:
    """One transformation under way: remembers what of the data was used, and what could not be."""

    def __init__(self, data: JsonObject, readers: Readers) -> None:
        self._data, self._readers = data, readers
        self._used: list[JsonValue] = []
        self.problems: list[str] = []

    def value(self, said: ValueSaid, name: str) -> JsonValue:
        if said.value is not None:
            constant: JsonValue = said.value
            return constant
        for candidate in self._candidates(said):
            if candidate in (None, "", [], {}):
                continue
            if said.each is not None:
                return self._each(said.each, candidate, name)
            made = self._made(candidate, said, name)
            if made not in (None, "", [], {}):
                self._used += [candidate, *(candidate if isinstance(candidate, list) else ())]
                return made
        default: JsonValue = said.default
        return default

    def _candidates(self, said: ValueSaid) -> Iterator[JsonValue]:
        for path in said.of:
            yield at_path(self._data, path)
        if said.field:
            yield from _of_fields(self._data, said.field)

    def _made(self, value: JsonValue, said: ValueSaid, name: str) -> JsonValue:
        try:
            for function, argument in said.do:
                if value in (None, "", [], {}):
                    return None
                if isinstance(argument, str) and argument.startswith("$"):
                    argument = at_path(self._data, argument[1:])
                value = apply(function, argument, value, self._readers)
        except Unreadable as error:
            self.problems.append(f"{name}: {error}"[:300])
            return None
        return value

    def _each(self, said: Mapping[str, ValueSaid], value: JsonValue, name: str) -> JsonValue:
        items = value if isinstance(value, list) else [value]
        made: list[JsonValue] = []
        for item in items[:500]:
            if isinstance(item, Mapping):
                inner = _Work(item, self._readers)
                one: dict[str, Any] = {}
                for path, each in said.items():
                    if (found := inner.value(each, f"{name}.{path}")) not in (None, ""):
                        _put(one, path, found)
                self.problems += inner.problems
                made.append(one)
        return made

    def rest(self, path: str) -> dict[str, JsonValue]:
        """Return what of an object was not used."""
        held = at_path(self._data, path)
        if not isinstance(held, Mapping):
            return {}
        return {
            str(name): value
            for name, value in held.items()
            if value not in (None, "", [], {}) and not any(value == each for each in self._used)
        }


def at_path(value: Any, path: str) -> JsonValue:
    """Return what is at a dotted path, numbers counting in lists; None if nothing is.

    >>> at_path({"a": [{"b": 1}]}, "a.0.b")
    1
    """
    for part in path.split(".") if path not in ("", ".") else ():
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    found: JsonValue = value
    return found


def _of_fields(data: JsonObject, words: tuple[str, ...]) -> Iterator[JsonValue]:
    """Yield the values of a form's fields whose title or reference has one of the words."""
    fields = data.get("fields")
    for word in words:
        for each in fields if isinstance(fields, list) else ():
            said = f"{each.get('title') or ''} {str(each.get('ref') or '').replace('_', ' ')}"
            if word.lower() in said.lower():
                yield each.get("value")


def _put(data: dict[str, Any], path: str, value: JsonValue) -> None:
    *parents, last = path.split(".")
    for part in parents:
        inner = data.get(part)
        data[part] = {**inner} if isinstance(inner, Mapping) else {}
        data = data[part]
    data[last] = value


def _named(value: JsonValue) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    return str(value)[:150]


def _bounded(rest: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return as much of ``rest`` as may go along, whole fields."""
    kept: dict[str, JsonValue] = {}
    left = MOST_ADDITIONAL
    for name, value in rest.items():
        left -= len(name) + len(str(value))
        if left < 0:
            kept["left_out"] = "there is more in the delivery"
            break
        kept[name] = value
    return kept


def _scope(announcement: Announcement) -> JsonObject:
    return {
        "event": announcement.data,
        "happening": {
            "type": announcement.event,
            "subject": announcement.subject,
            "places": list(announcement.places),
        },
    }
