"""Find the values of a model's fields in a text by rules: labels, and the shapes of values. Pure.

Nothing is guessed: a field of which the text has no value is left out, and the model says whether it
can do without.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from higherself.agents.llm.text import line

_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}")
_URL = re.compile(r"https?://[^\s<>\"']+")
_PHONE = re.compile(r"(?<![\w.])\+?\d[\d ()/.-]{6,18}\d(?!\w)")
_NUMBER = re.compile(
    r"-?\d{1,3}(?:[,.' ]\d{3}){1,6}(?:[.,]\d{1,2})?(?!\d)|-?\d{1,30}(?:[.,]\d{1,30})?"
)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_DOTTED = re.compile(r"\b(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})\b")
_WRITTEN = re.compile(
    r"\b(?:(?P<day>\d{1,2})(?:st|nd|rd|th)?\.?\s+(?P<month>[A-Za-zä]{3,9})|"
    r"(?P<month2>[A-Za-zä]{3,9})\s+(?P<day2>\d{1,2})(?:st|nd|rd|th)?),?\s+(?P<year>\d{4})\b"
)
_MONTHS = (
    ("january", "januar"), ("february", "februar"), ("march", "märz"), ("april",), ("may", "mai"),
    ("june", "juni"), ("july", "juli"), ("august",), ("september",), ("october", "oktober"),
    ("november",), ("december", "dezember"),
)  # fmt: skip
_YES = frozenset({"yes", "true", "y", "ja", "sí", "si", "oui", "1"})
_NO = frozenset({"no", "false", "n", "nein", "non", "0"})

Shape = Literal["email", "url", "phone", "date", "number", "integer", "boolean", "text"]


def found(model: type[BaseModel], text: str) -> dict[str, Any]:
    """Return what ``text`` says of the fields of ``model``, by the names it takes them under.

    First what stands behind a label of the field's name, then the first value of its shape, if that
    shape belongs to few things (an address, a link, a telephone number, a date).
    """
    said: dict[str, Any] = {}
    labelled = dict(_labelled(text))
    for name, field in model.model_fields.items():
        value = _value(name, field, labelled, text)
        if value is not None:
            said[field.alias or name] = value
    return said


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """Yield labels and what stands behind them; of two that are the same, the first counts."""
    seen = set()
    for each in text.splitlines():
        label, colon, value = each.partition(":")
        name = _plain(label)
        if colon and value.strip() and 0 < len(name) <= 40 and name not in seen:
            seen.add(name)
            yield name, value.strip()


def _plain(label: str) -> str:
    return re.sub(r"[\W_]+", " ", label.casefold()).strip()


def _value(name: str, field: FieldInfo, labelled: Mapping[str, str], text: str) -> Any:
    names = [_plain(each) for each in (name, field.title or "", field.alias or "") if each]
    said = next((labelled[each] for each in names if each in labelled), None)
    kind = _bare(field.annotation)
    if choices := _choices(kind):
        return _choice(choices, said if said is not None else text)
    if get_origin(kind) in (list, tuple, set):
        return None if said is None else [line(part) for part in re.split(r"[,;]", said)]
    shape = _shape(names, kind)
    if said is not None:
        return _shaped(shape, said)
    return _shaped(shape, text) if shape in ("email", "url", "phone", "date") else None


def _bare(annotation: Any) -> Any:
    """Return a type without `Annotated`, and without that it may be None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        others = [each for each in get_args(annotation) if each is not type(None)]
        return _bare(others[0]) if len(others) == 1 else str
    return annotation


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(each) for each in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(each.value) for each in kind]
    return []


def _choice(choices: list[str], text: str) -> str | None:
    """Return the choice whose name is the first in ``text``."""
    places = {}
    for choice in choices:
        named = re.search(rf"(?<!\w){re.escape(_plain(choice))}(?!\w)", _plain(text))
        if named:
            places[choice] = named.start()
    return min(places, key=places.__getitem__) if places else None


def _shape(names: list[str], kind: Any) -> Shape:
    type_name = getattr(kind, "__name__", "")
    if kind is bool:
        return "boolean"
    if kind is int:
        return "integer"
    if type_name in ("float", "Decimal"):
        return "number"
    if type_name in ("date", "datetime"):
        return "date"
    words = set(" ".join(names).split())
    if type_name == "EmailStr" or words & {"email", "mail"}:
        return "email"
    if type_name.endswith("Url") or words & {"url", "website", "link"}:
        return "url"
    if words & {"phone", "telephone", "mobile", "telefon"}:
        return "phone"
    return "text"


def _shaped(shape: Shape, said: str) -> Any:
    """Return the first value of a shape in ``said``, or None."""
    match shape:
        case "email":
            return _first(_MAIL, said)
        case "url":
            link = _first(_URL, said)
            return link and link.rstrip(".,;:!?)")
        case "phone":
            return _first(_PHONE, said)
        case "date":
            return _date(said)
        case "integer" | "number":
            number = _first(_NUMBER, said)
            return number and _number(number)
        case "boolean":
            word = _plain(said).partition(" ")[0]
            return True if word in _YES else False if word in _NO else None
        case "text":
            return line(said)


def _first(shape: re.Pattern[str], said: str) -> str | None:
    match = shape.search(said)
    return match and match.group().strip()


def _number(written: str) -> str:
    """Return a number as JSON has it: what has three digits behind it is no decimal point.

    >>> _number("1,250"), _number("1.250,50"), _number("12,5")
    ('1250', '1250.50', '12.5')
    """
    whole, mark, rest = written, "", ""
    last = max(written.rfind(","), written.rfind("."))
    if last >= 0 and len(written) - last - 1 != 3:
        whole, mark, rest = written[:last], ".", written[last + 1 :]
    return re.sub(r"[,.' ]", "", whole) + mark + rest


def _date(said: str) -> str | None:
    """Return the first date in ``said``, in the form 2026-11-30; 3.4.2026 is in April."""
    if iso := _ISO.search(said):
        return iso.group()
    if dotted := _DOTTED.search(said):
        day, month, year = map(int, dotted.groups())
        return f"{year:04d}-{month:02d}-{day:02d}"
    if written := _WRITTEN.search(said):
        number = _month((written["month"] or written["month2"]).casefold())
        day = int(written["day"] or written["day2"])
        return f"{int(written['year']):04d}-{number:02d}-{day:02d}" if number else None
    return None


def _month(name: str) -> int:
    """Return the number of a month, by its name or an abbreviation of it, or 0."""
    for number, names in enumerate(_MONTHS, start=1):
        if len(name) >= 3 and any(each.startswith(name) for each in names):
            return number
    return 0
