"""Values of properties as dataclasses, one for each kind; what two readings agree in is equal. Pure.

A property that nobody has filled in has a value too: empty text, None, no names.
"""

from dataclasses import dataclass, field
from typing import Literal

from higherself.kernel.jsonvalue import JsonValue
from higherself.notion.content.tree import Rich


@dataclass(frozen=True, slots=True)
class TextValue:
    """A title or a text, with its looks."""

    kind: Literal["title", "rich_text"]
    text: Rich = ()


@dataclass(frozen=True, slots=True)
class NumberValue:
    """A number."""

    number: float | int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """An option, known by its name. Its id and colour do not count."""

    name: str
    id: str = field(default="", compare=False)
    colour: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ChoiceValue:
    """The option of a select or a status."""

    kind: Literal["select", "status"]
    choice: Choice | None = None


@dataclass(frozen=True, slots=True)
class ChoicesValue:
    """The options of a multi-select, in Notion's order."""

    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class DateValue:
    """A day, a minute, or a range of them: ``2026-01-02``, ``2026-01-02T10:00+01:00``; '' for none."""

    start: str = ""
    end: str = ""
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """A user, known by the id; ``email`` is given only to connections that may see it."""

    id: str
    name: str = field(default="", compare=False)
    email: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PeopleValue:
    """Users. ``has_more``: there are others, to be asked for with the property's id."""

    people: tuple[Person, ...] = ()
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """A file: where it is (without a signature), or the id of an upload that is to be attached."""

    name: str
    url: str = ""
    upload: str = ""


@dataclass(frozen=True, slots=True)
class FilesValue:
    """Files."""

    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckboxValue:
    """A box, ticked or not."""

    checked: bool = False


@dataclass(frozen=True, slots=True)
class LineValue:
    """An address of the web or of mail, or a telephone number."""

    kind: Literal["url", "email", "phone_number"]
    line: str = ""


@dataclass(frozen=True, slots=True)
class RelationValue:
    """Pages, by their ids. ``has_more``: there are others, to be asked for with the property's id."""

    pages: tuple[str, ...] = ()
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class ResultValue:
    """What a formula or a rollup gives, as JSON. ``known`` is False where Notion does not say it.

    ``function`` is the rollup's.
    """

    kind: Literal["formula", "rollup"]
    result: JsonValue = None
    known: bool = True
    function: str = ""


@dataclass(frozen=True, slots=True)
class TimeValue:
    """When a page was made, edited or seen; to the minute."""

    kind: Literal["created_time", "last_edited_time", "last_visited_time"]
    at: str = ""


@dataclass(frozen=True, slots=True)
class ByValue:
    """Who made or edited a page."""

    kind: Literal["created_by", "last_edited_by"]
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class NumberedValue:
    """The number that Notion gives a row, with its prefix."""

    prefix: str = ""
    number: int | None = None


@dataclass(frozen=True, slots=True)
class PlaceValue:
    """A place on a map."""

    latitude: float | None = None
    longitude: float | None = None
    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class VerificationValue:
    """Whether somebody vouches for a page, who, and until when."""

    state: str = "unverified"
    by: Person | None = None
    until: str = ""


@dataclass(frozen=True, slots=True)
class OtherValue:
    """A property without a value (a button), or of a kind we do not know."""

    kind: str
    value: JsonValue = None


Value = (
    TextValue
    | NumberValue
    | ChoiceValue
    | ChoicesValue
    | DateValue
    | PeopleValue
    | FilesValue
    | CheckboxValue
    | LineValue
    | RelationValue
    | ResultValue
    | TimeValue
    | ByValue
    | NumberedValue
    | PlaceValue
    | VerificationValue
    | OtherValue
)
