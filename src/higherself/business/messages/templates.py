"""Templates of messages: a subject and a body in Markdown, with places for facts. Pure.

A fact is text: whatever stands in it, it can neither become markup nor a header of the message.
Templates run in Jinja's sandbox, because operators write them, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources

from jinja2 import StrictUndefined, TemplateError, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from higherself.business.messages.text import escaped
from higherself.kernel.errors import NotFound, Rejected
from higherself.kernel.jsonvalue import JsonValue

LONGEST_SUBJECT = 200
_SUBJECT = "Subject: "


class TemplateRejected(Rejected):
    """A template cannot be filled in as it is."""


class TemplateUnknown(NotFound):
    """There is no template of this name."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a message says. ``body`` is Markdown; both have places like ``{{ client.name }}``."""

    name: str
    subject: str
    body: str

    @classmethod
    def read(cls, name: str, text: str) -> "Template":
        """Return the template of a file: its first line is ``Subject: ...``, then an empty one.

        Raises
            TemplateRejected: it has no subject.
        """
        first, _, rest = text.partition("\n")
        if not first.startswith(_SUBJECT):
            raise TemplateRejected(f"template {name}: its first line has to be `{_SUBJECT}...`")
        return cls(name, first.removeprefix(_SUBJECT).strip(), rest.strip("\n"))


@dataclass(frozen=True, slots=True)
class Filled:
    """A template with its facts: ``body`` is Markdown."""

    subject: str
    body: str


def fill(template: Template, facts: Mapping[str, JsonValue]) -> Filled:
    """Return ``template`` with ``facts`` in their places.

    Raises
        TemplateRejected: a fact that it asks for is missing, or it is written wrongly.
    """
    try:
        subject = _plain().from_string(template.subject).render(facts)
        body = _marked().from_string(template.body).render(facts)
    except UndefinedError as error:
        raise TemplateRejected(
            f"template {template.name}: a fact is missing: {error.message}"
        ) from None
    except SecurityError as error:
        raise TemplateRejected(f"template {template.name}: {error}") from None
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise TemplateRejected(f"template {template.name} cannot be filled in: {error}") from None
    return Filled(" ".join(subject.split())[:LONGEST_SUBJECT], body)


def built_in(name: str) -> Template:
    """Return a template that comes with the program.

    Raises
        TemplateUnknown: there is none of this name.
    """
    texts = _texts()
    if name not in texts:
        near = get_close_matches(name, texts, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(texts))}"
        raise TemplateUnknown(f"there is no template {name!r}{hint}")
    return Template.read(name, texts[name])


def names() -> list[str]:
    """Return the names of the templates that come with the program."""
    return sorted(_texts())


@cache
def _texts() -> Mapping[str, str]:
    folder = resources.files("higherself.business.emails")
    return {
        each.name.removesuffix(".md"): each.read_text(encoding="utf-8")
        for each in folder.iterdir()
        if each.name.endswith(".md")
    }


@cache
def _plain() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


@cache
def _marked() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, finalize=_as_markdown
    )


def _as_markdown(value: object) -> object:
    """Return a fact as Markdown that shows it and nothing else.

    An address of the web stays as it is: a template makes a link of it.
    """
    if not isinstance(value, str):
        return value
    if value.startswith(("https://", "http://")) and not set(value) & set(" ()<>[]\\\n\"'"):
        return value
    return escaped(value)
